// A multiplexer of four inputs in two lookup tables of ECP5 and the PFUMX behind them, for Yosys'
// techmap behind its muxcover. Its mapper, which counts inputs and not structure, takes three.
module \$_MUX4_ (A, B, C, D, S, T, Y);
    input A, B, C, D, S, T;
    output Y;

    wire low, high;
    LUT4 #(.INIT(16'hCACA)) lower (.A(A), .B(B), .C(S), .D(1'b0), .Z(low));
    LUT4 #(.INIT(16'hCACA)) upper (.A(C), .B(D), .C(S), .D(1'b0), .Z(high));
    PFUMX both (.ALUT(high), .BLUT(low), .C0(T), .Z(Y));
endmodule
