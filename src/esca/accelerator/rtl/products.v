// Products of 4 unsigned by 4 signed bits on carry cells of ECP5, for Yosys' techmap: 18 lookup
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

    wire [5:0] two, three, four;
    wire [3:0] mask = A;
    masked_add #(.BOTH(1)) add_1 (
        .a({{2{B[3]}}, B}), .mask_a(mask[0]), .b({B[3], B, 1'b0}), .mask_b(mask[1]), .sum(two)
    );
    masked_add add_2 (
        .a({{2{two[5]}}, two[5:2]}), .mask_a(1'b1), .b({{2{B[3]}}, B}), .mask_b(mask[2]), .sum(three)
    );
    masked_add add_3 (
        .a({three[5], three[5:1]}), .mask_a(1'b1), .b({{2{B[3]}}, B}), .mask_b(mask[3]), .sum(four)
    );
    wire signed [7:0] product = {four[4:0], three[0], two[1:0]};
    assign Y = product;
endmodule

// sum = (a masked) + (b masked); without BOTH a is taken as it is.
module masked_add (a, mask_a, b, mask_b, sum);
    parameter BOTH = 0;
    // (A and B) xor (C and D), or A xor (C and D): a cell's lowest four bits, A and B or A, are
    // what it hands on where both terms are equal.
    localparam [15:0] INIT = BOTH ? 16'h7888 : 16'h5AAA;
    input [5:0] a, b;
    input mask_a, mask_b;
    output [5:0] sum;

    wire [6:0] carry;
    assign carry[0] = 1'b0;
    genvar i;
    generate for (i = 0; i < 6; i = i + 2) begin : pair
        CCU2C #(.INIT0(INIT), .INIT1(INIT), .INJECT1_0("NO"), .INJECT1_1("NO")) cells (
            .CIN(carry[i]), .COUT(carry[i+2]),
            .A0(a[i]), .B0(mask_a), .C0(b[i]), .D0(mask_b), .S0(sum[i]),
            .A1(a[i+1]), .B1(mask_a), .C1(b[i+1]), .D1(mask_b), .S1(sum[i+1])
        );
    end endgenerate
endmodule
