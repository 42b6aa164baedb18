// Sums on carry cells of ECP5, for Yosys' techmap. Yosys does the same with two faults. Where bits are
// odd in number, a constant that is carried in comes from the half cell that is left over here, which
// nextpnr would bring into the chain by a cell of its own; what is carried out comes from the last cell
// without another. And a carry in the midst of a cell, which what compares signed numbers takes, is made
// of that cell's sum: made of the carry before, it would cut the chain there, which takes nextpnr a cell
// and a wire to mend.
(* techmap_celltype = "$alu" *)
module sum (A, B, CI, BI, X, Y, CO);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CONSTMSK_CI_ = 0;
    parameter _TECHMAP_CONSTVAL_CI_ = 0;

    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    input CI, BI;
    output [Y_WIDTH-1:0] X, Y, CO;

    localparam ODD = Y_WIDTH % 2;
    wire _TECHMAP_FAIL_ = Y_WIDTH <= 4 || (ODD && !_TECHMAP_CONSTMSK_CI_) || !A_WIDTH || !B_WIDTH;

    wire [Y_WIDTH-1:0] a, b;
    generate
        if (A_SIGNED) assign a = $signed(A); else assign a = A;
        if (B_SIGNED) assign b = $signed(B); else assign b = B;
    endgenerate
    assign X = a ^ b ^ {Y_WIDTH{BI}};

    // A xor B xor C, where D is 1; a cell's lowest four bits, A, are what it hands on where that is 0.
    localparam [15:0] ADD = 16'h96AA;
    // 0, where C and D are 1: then the lowest four bits go on.
    localparam [15:0] CARRY = _TECHMAP_CONSTVAL_CI_ ? 16'h000F : 16'h0000;

    wire [Y_WIDTH:0] carried = {CO, CI};
    genvar i;
    generate
        if (ODD) begin
            CCU2C #(.INIT0(CARRY), .INIT1(ADD), .INJECT1_0("NO"), .INJECT1_1("NO")) first (
                .COUT(CO[0]),
                .A0(1'b1), .B0(1'b1), .C0(1'b1), .D0(1'b1),
                .A1(a[0]), .B1(b[0]), .C1(BI), .D1(1'b1), .S1(Y[0])
            );
        end
        for (i = ODD; i < Y_WIDTH; i = i + 2) begin : pair
            CCU2C #(.INIT0(ADD), .INIT1(ADD), .INJECT1_0("NO"), .INJECT1_1("NO")) cells (
                .CIN(carried[i]), .COUT(CO[i+1]),
                .A0(a[i]), .B0(b[i]), .C0(BI), .D0(1'b1), .S0(Y[i]),
                .A1(a[i+1]), .B1(b[i+1]), .C1(BI), .D1(1'b1), .S1(Y[i+1])
            );
            // What is carried into the next bit.
            assign CO[i] = X[i+1] ^ Y[i+1];
        end
    endgenerate
endmodule
