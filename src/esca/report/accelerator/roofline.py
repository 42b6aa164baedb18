"""Whether layers are bound by the array or by DRAM."""

from esca.accelerator.config import MODES
from esca.report.accelerator.gather import FrameStory
from esca.report.accelerator.layers import lines
from esca.report.section import Section, render
from esca.report.theme import INK, MUTED, SERIES, SURFACE, Margins, plotted


def section(story: FrameStory) -> Section:
    """Work against traffic on logarithmic axes, below the roofs of the configuration."""
    frame, config = story.frame, story.frame.setup
    giga = config.clock_hertz / 1e9
    bandwidth = config.dram_bytes_per_cycle * giga
    points = [
        (line, line.timing.macs / max(1, sum(line.timing.dram_bytes.values())), line.timing.macs)
        for line in lines(story)
        if line.timing.macs
    ]
    whole = (frame.macs / frame.dram_bytes, frame.macs / frame.cycles * giga)
    low = min(0.5, *(x for _, x, _ in points)) / 1.6
    high = max(x for _, x, _ in points) * 2
    with plotted("accelerator-roofline", 860, 430, Margins(62, 18, 14, 48), "Roofline") as plot:
        axes = plot.figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        roofs = {
            f"array, {mode.replace('x', ' × ')} bits": config.macs_per_cycle(mode) * giga
            for mode in MODES
            if config.array.macs(mode) and config.array.runs(mode) == mode
        }
        if config.engines.linear_lanes:
            roofs["linear engine"] = config.engines.linear_lanes * giga
        for name, roof in roofs.items():
            knee = roof / bandwidth
            axes.plot([low, knee, high], [low * bandwidth, roof, roof], color=MUTED, linewidth=1.3)
            # Left of its knee a roof has the plot to itself; layers crowd on its right end.
            left = knee > 8 * low
            x, y = (knee / 1.08, roof) if left else (high / 1.05, roof * 1.06)
            label = f"{name}: {roof:,.0f} GMAC/s"
            axes.text(x, y, label, ha="right", va="center" if left else "bottom", size=10)
        for engine, colour, marker in (("array", SERIES[0], "o"), ("linear", SERIES[1], "s")):
            mine = [point for point in points if point[0].timing.engine == engine]
            ys = [macs / max(1, line.cycles) * giga for line, _, macs in mine]
            xs = [x for _, x, _ in mine]
            axes.scatter(
                xs,
                ys,
                s=150,
                color=colour,
                marker=marker,
                linewidth=0.8,
                edgecolor=SURFACE,
                label=f"{engine} layers",
                zorder=3,
            )
            for (line, _, _), x, y in zip(mine, xs, ys, strict=True):
                axes.text(
                    x,
                    y,
                    str(line.number),
                    ha="center",
                    va="center",
                    size=7.5,
                    color=SURFACE,
                    zorder=4,
                    weight="bold",
                )
        axes.scatter(
            *whole,
            s=190,
            marker="*",
            color=SERIES[5],
            zorder=5,
            label="the whole frame",
            edgecolor=SURFACE,
            linewidth=0.8,
        )
        floor = min(macs / max(1, line.cycles) * giga for line, _, macs in points)
        axes.set_ylim(min(floor, roofs.get("linear engine", floor)) / 2.5, max(roofs.values()) * 2)
        axes.set_xlim(low, high)
        axes.set_xlabel("useful MACs a byte of DRAM traffic")
        axes.set_ylabel("useful GMAC/s")
        axes.tick_params(which="both", colors=MUTED)
        for ticks in (axes.xaxis, axes.yaxis):
            ticks.set_major_formatter("{x:,g}")
        axes.legend(loc="lower right", labelcolor=INK)
    html = render("accelerator_roofline.html", plot=plot.svg, bandwidth=bandwidth, whole=whole)
    return Section("Roofline", "accelerator-roofline", html)
