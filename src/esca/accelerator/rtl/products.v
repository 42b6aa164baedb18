// Products of 4 unsigned by 4 signed bits on carry cells of ECP5, for Yosys' techmap: 19 lookup
// tables each. The tables of a carry cell mask what it adds, so that no row needs tables of its own.
(* techmap_celltype = "$mul" *)
module product_4x4 (A, B, Y);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CONSTMSK_A_ = 0;
    parameter _TECHMAP_CONSTVAL_A_ = 0;

    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    output [Y_WIDTH-1:0] Y;

    // The unsigned factor comes with a sign of 0.
    wire _TECHMAP_FAIL_ = !A_SIGNED || !B_SIGNED || A_WIDTH != 5 || B_WIDTH != 4
        || !_TECHMAP_CONSTMSK_A_[A_WIDTH-1] || _TECHMAP_CONSTVAL_A_[A_WIDTH-1];

    wire [5:0] two;
    wire [4:0] three, four;
    wire [3:0] mask = A;
    // Nothing is added to the lowest bit of the first row.
    assign two[0] = mask[0] & B[0];
    masked_add #(.BOTH(1)) add_1 (
        .a({{2{B[3]}}, B[3:1]}), .mask_a(mask[0]), .b({B[3], B}), .mask_b(mask[1]), .sum(two[5:1])
    );
    masked_add add_2 (
        .a({two[5], two[5:2]}), .mask_a(1'b1), .b({B[3], B}), .mask_b(mask[2]), .sum(three)
    );
    masked_add add_3 (
        .a({three[4], three[4:1]}), .mask_a(1'b1), .b({B[3], B}), .mask_b(mask[3]), .sum(four)
    );
    wire signed [7:0] product = {four, three[0], two[1:0]};
    assign Y = product;
endmodule

// sum = (a masked) + (b masked); without BOTH a is taken as it is. The first half of the first cell
// makes the carry of 0 that goes in, which nextpnr would bring there by a cell of its own.
module masked_add (a, mask_a, b, mask_b, sum);
    parameter BOTH = 0;
    // (A and B) xor (C and D), or A xor (C and D): a cell's lowest four bits, A and B or A, are
    // what it hands on where both terms are equal.
    localparam [15:0] INIT = BOTH ? 16'h7888 : 16'h5AAA;
    input [4:0] a, b;
    input mask_a, mask_b;
    output [4:0] sum;

    wire [2:0] carry;
    CCU2C #(.INIT0(16'h0000), .INIT1(INIT), .INJECT1_0("NO"), .INJECT1_1("NO")) first (
        .COUT(carry[0]),
        .A0(1'b1), .B0(1'b1), .C0(1'b1), .D0(1'b1),
        .A1(a[0]), .B1(mask_a), .C1(b[0]), .D1(mask_b), .S1(sum[0])
    );
    genvar i;
    generate for (i = 1; i < 5; i = i + 2) begin : pair
        CCU2C #(.INIT0(INIT), .INIT1(INIT), .INJECT1_0("NO"), .INJECT1_1("NO")) cells (
            .CIN(carry[i/2]), .COUT(carry[i/2+1]),
            .A0(a[i]), .B0(mask_a), .C0(b[i]), .D0(mask_b), .S0(sum[i]),
            .A1(a[i+1]), .B1(mask_a), .C1(b[i+1]), .D1(mask_b), .S1(sum[i+1])
        );
    end endgenerate
endmodule
