// Sums on carry cells of ECP5, for Yosys' techmap; its own cost nextpnr cells and wires. A constant that
// is carried in comes from a spare half cell, which nextpnr would bring into the chain by a cell of its
// own, and a wire from the one table that makes all constants. What is carried out, and what is carried
// in the midst of a cell, is told from the sum of the next bit: taken from the chain, it would cut it.
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

    wire _TECHMAP_FAIL_ = Y_WIDTH <= 4 || !_TECHMAP_CONSTMSK_CI_ || !A_WIDTH || !B_WIDTH;

    // An odd number: where bits are even in number, one more, 0 + 0.
    localparam BITS = Y_WIDTH | 1;
    wire [Y_WIDTH-1:0] a, b;
    generate
        if (A_SIGNED) assign a = $signed(A); else assign a = A;
        if (B_SIGNED) assign b = $signed(B); else assign b = B;
    endgenerate
    wire [BITS-1:0] c = a, d = b, turned = {Y_WIDTH{BI}}, x = c ^ d ^ turned, y, chain;
    assign X = x;
    assign Y = y;

    // A xor B xor C, where D is 1; a cell's lowest four bits, A, are what it hands on where that is 0.
    localparam [15:0] ADD = 16'h96AA;
    // 0, where C and D are 1: then the lowest four bits go on.
    localparam [15:0] CARRY = _TECHMAP_CONSTVAL_CI_ ? 16'h000F : 16'h0000;

    CCU2C #(.INIT0(CARRY), .INIT1(ADD), .INJECT1_0("NO"), .INJECT1_1("NO")) first (
        .COUT(chain[0]),
        .A0(1'b1), .B0(1'b1), .C0(1'b1), .D0(1'b1),
        .A1(c[0]), .B1(d[0]), .C1(turned[0]), .D1(1'b1), .S1(y[0])
    );
    genvar i;
    generate
        for (i = 1; i < BITS; i = i + 2) begin : pair
            CCU2C #(.INIT0(ADD), .INIT1(ADD), .INJECT1_0("NO"), .INJECT1_1("NO")) cells (
                .CIN(chain[i-1]), .COUT(chain[i+1]),
                .A0(c[i]), .B0(d[i]), .C0(turned[i]), .D0(1'b1), .S0(y[i]),
                .A1(c[i+1]), .B1(d[i+1]), .C1(turned[i+1]), .D1(1'b1), .S1(y[i+1])
            );
        end
        for (i = 0; i < Y_WIDTH; i = i + 1) begin : carried
            if (i + 1 < BITS) assign CO[i] = x[i+1] ^ y[i+1]; else assign CO[i] = chain[i];
        end
    endgenerate
endmodule
