"""The clock of the board: an ECP5's PLL."""

from dataclasses import dataclass

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value

from esca.errors import EscaError

VCO_HERTZ = (400e6, 800e6)
LEAST_COMPARED_HERTZ = 3.125e6
MOST_DIVISOR = 128
"""Bounds that prjtrellis' ``ecppll`` keeps."""


@dataclass(frozen=True)
class PllDivisors:
    """Of the input, of the feedback from the output, and from the oscillator to the output."""

    input: int
    feedback: int
    output: int

    def hertz(self, reference: float) -> tuple[float, float]:
        """Output and oscillator."""
        made = reference / self.input * self.feedback
        return made, made * self.output


def pll_divisors(reference: float, wanted: float) -> PllDivisors:
    """Those that make exactly the ``wanted`` hertz; EscaError where there are none."""
    for into in range(1, MOST_DIVISOR + 1):
        if reference / into < LEAST_COMPARED_HERTZ:
            break
        feedback = wanted * into / reference
        if feedback != round(feedback) or not 1 <= feedback <= MOST_DIVISOR:
            continue
        middle = sum(VCO_HERTZ) / 2
        out = max(1, min(MOST_DIVISOR, round(middle / wanted)))
        if VCO_HERTZ[0] <= wanted * out <= VCO_HERTZ[1]:
            return PllDivisors(into, round(feedback), out)
    raise EscaError(
        f"board: no PLL makes {wanted / 1e6:g} MHz of {reference / 1e6:g} MHz, expected a simple "
        "fraction"
    )


def add_pll(m: Module, reference: Value, reference_hertz: float, hertz: float) -> Signal:
    """Drive the clock of ``sync``; returns whether it is steady."""
    divisors, locked, made = pll_divisors(reference_hertz, hertz), Signal(), Signal()
    m.submodules.pll = Instance(
        "EHXPLLL",
        a_FREQUENCY_PIN_CLKI=f"{reference_hertz / 1e6:g}",
        a_FREQUENCY_PIN_CLKOP=f"{hertz / 1e6:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        p_OUTDIVIDER_MUXA="DIVA",
        p_CLKI_DIV=divisors.input,
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_DIV=divisors.output,
        p_CLKOP_CPHASE=divisors.output // 2 - 1,
        p_CLKOP_FPHASE=0,
        p_FEEDBK_PATH="CLKOP",
        p_CLKFB_DIV=divisors.feedback,
        i_RST=0,
        i_STDBY=0,
        i_CLKI=reference,
        i_CLKFB=made,
        i_PHASESEL0=0,
        i_PHASESEL1=0,
        i_PHASEDIR=1,
        i_PHASESTEP=1,
        i_PHASELOADREG=1,
        i_PLLWAKESYNC=0,
        i_ENCLKOP=0,
        o_CLKOP=made,
        o_LOCK=locked,
    )
    m.d.comb += ClockSignal("sync").eq(made)
    return locked
