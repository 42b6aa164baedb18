"""The page's controls, in the order in which one uses them, and its numbers."""

import math
from typing import Any

import viser

from esca.viewer.heads import ERRORS, LAYOUTS, Differences, ErrorKind
from esca.viewer.palette import heat_legend, signed_legend
from esca.viewer.playback import Playback
from esca.viewer.session import Recording, Session, Status

SCALES: dict[ErrorKind, tuple[float, float, float]] = {
    ERRORS[0]: (2.0, 64.0, 32.0),
    ERRORS[1]: (4.0, 64.0, 16.0),
}
"""Least, most and first full scale of each kind of error: times the threshold, display levels."""

NO_SEGMENT = "None (mean expression)"
BROWSER = "this browser's camera"
SPEEDS = {"1/10": 0.1, "1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0}
SIDE = math.radians(55)


class Panel:
    """Controls of one server that drive a session and tell what it reports.

    ``layout``: the control that chooses one of :data:`LAYOUTS`.
    """

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._gui = server.gui
        self._session = session
        self._telling = False
        gui = server.gui
        gui.configure_theme(
            dark_mode=True, show_logo=False, show_share_button=False, brand_color=(214, 128, 64)
        )
        gui.set_panel_label("esca view")
        gui.main_panel.dock_right()  # beside the heads, never over them
        with gui.add_folder("Decoder"):
            self._decoder()
        with gui.add_folder("View"):
            self._view()
        with gui.add_folder("Error"):
            self._error()
        with gui.add_folder("Playback"):
            self._playback()
        with gui.add_folder("Expression"):
            self._expression()
        session.report = self.tell

    def _decoder(self) -> None:
        gui, session = self._gui, self._session
        candidates = session.decoders.candidates
        first = candidates[session.wish.look.candidate]
        methods = tuple(dict.fromkeys(candidate.method for candidate in candidates))
        method = gui.add_dropdown("Method", methods, initial_value=first.method)
        bits = gui.add_dropdown(
            "Bits",
            self._bits(first.method),
            initial_value=first.bits,
            hint="W: bits of weights, A: bits of activations",
        )
        self._numbers = gui.add_markdown("Waiting for a browser.")

        def choose(_: Any) -> None:
            options = self._bits(method.value)
            if tuple(bits.options) != options:
                bits.options = options
            for number, candidate in enumerate(candidates):
                if (candidate.method, candidate.bits) == (method.value, bits.value):
                    session.change_look(candidate=number)

        method.on_update(choose)
        bits.on_update(choose)

    def _bits(self, method: str) -> tuple[str, ...]:
        return tuple(c.bits for c in self._session.decoders.candidates if c.method == method)

    def _view(self) -> None:
        gui, session = self._gui, self._session
        layout = gui.add_dropdown("Show", LAYOUTS, initial_value=session.wish.look.layout)
        self.layout = layout
        split = gui.add_slider(
            "Cut",
            -1.0,
            1.0,
            0.01,
            0.0,
            visible=False,
            hint="Left of it fp32, right of it quantized",
        )
        camera = gui.add_dropdown(
            "Seen from",
            (BROWSER, *session.subject.views),
            initial_value=BROWSER,
            hint="Direction that the decoders are given; skin and eyes look different from each",
        )
        stand = gui.add_button_group("Stand", ("Left", "Front", "Right"))

        def choose(_: Any) -> None:
            split.visible = layout.value == "Split"
            session.change_look(layout=layout.value, split=split.value)

        layout.on_update(choose)
        split.on_update(choose)
        camera.on_update(
            lambda _: session.choose_camera(None if camera.value == BROWSER else camera.value)
        )
        angles = {"Left": -SIDE, "Front": 0.0, "Right": SIDE}
        stand.on_click(lambda event: session.frame(event.client, angles[stand.value]))

    def _error(self) -> None:
        gui, session = self._gui, self._session
        kind = gui.add_dropdown(
            "Map",
            ERRORS,
            initial_value=ERRORS[0],
            hint="The proxy weights contrasts by the eye's sensitivity; it is not FovVideoVDP",
        )
        least, most, first = SCALES[ERRORS[0]]
        full: Any = gui.add_slider("Full scale", least, most, 2.0, first)
        legend = gui.add_image(heat_legend(first), format="png")
        caption = gui.add_markdown(_CAPTIONS[ERRORS[0]])
        session.change_look(full=first)

        def choose(_: Any) -> None:
            make = heat_legend if kind.value == ERRORS[0] else signed_legend
            legend.image = make(full.value)
            session.change_look(error=kind.value, full=full.value)

        def switch(_: Any) -> None:
            caption.content = _CAPTIONS[kind.value]
            full.min, full.max, full.value = SCALES[kind.value]
            choose(_)

        full.on_update(choose)
        kind.on_update(switch)

    def _playback(self) -> None:
        gui, session = self._gui, self._session
        names = (NO_SEGMENT, *session.subject.segments)
        segment = gui.add_dropdown("Segment", names, initial_value=NO_SEGMENT)
        self._play = gui.add_button("Play", disabled=True, icon=viser.Icon.PLAYER_PLAY)
        self._frame = gui.add_slider("Frame", 0, 1, 1, 0, disabled=True)
        speed = gui.add_dropdown("Speed", tuple(SPEEDS), initial_value="1", hint="1 is as recorded")
        self._note = gui.add_markdown("", visible=False)

        def ready(recording: Recording | None) -> None:
            self._play.disabled = recording is None
            self._frame.disabled = recording is None or len(recording.numbers) < 2
            self._quietly(self._frame, 0)
            self._frame.max = 1 if recording is None else max(1, len(recording.numbers) - 1)
            session.play(lambda playback, now: playback.at_speed(SPEEDS[speed.value], now))

        def seek(_: Any) -> None:
            if not self._telling:
                frame = self._frame.value
                session.play(lambda playback, _: playback.sought(min(frame, playback.last)))

        segment.on_update(
            lambda _: session.choose_segment(
                None if segment.value == NO_SEGMENT else segment.value, ready
            )
        )
        self._play.on_click(lambda _: session.play(Playback.toggled))
        self._frame.on_update(seek)
        speed.on_update(lambda _: session.play(lambda p, now: p.at_speed(SPEEDS[speed.value], now)))

    def _expression(self) -> None:
        gui, session = self._gui, self._session
        gui.add_markdown("Principal directions of the capture's codes, in standard deviations.")
        sliders: list[Any] = [
            gui.add_slider(
                f"PC {number}", -3.0, 3.0, 0.05, 0.0, hint=f"{share:.0%} of the codes' variance"
            )
            for number, share in enumerate(session.expressions.shares.tolist(), start=1)
        ]
        reset = gui.add_button("Reset", icon=viser.Icon.REFRESH)

        def move(_: Any) -> None:
            session.change(sliders=tuple(slider.value for slider in sliders))

        def centre(_: Any) -> None:
            for slider in sliders:
                slider.value = 0.0

        for slider in sliders:
            slider.on_update(move)
        reset.on_click(centre)

    def tell(self, status: Status) -> None:
        """Show what the session reports; called from its worker."""
        session = self._session
        self._numbers.content = numbers(session, status.rate, session.heads.differences())
        if status.frame is not None:
            self._quietly(self._frame, status.frame)
        label = "Pause" if status.playing else "Play"
        if self._play.label != label:
            self._play.label = label
            self._play.icon = viser.Icon.PLAYER_PAUSE if status.playing else viser.Icon.PLAYER_PLAY
        self._note.visible = bool(status.note)
        self._note.content = status.note

    def _quietly(self, handle: Any, value: int) -> None:
        """Set a control without taking it for the user's wish."""
        self._telling = True
        try:
            handle.value = value
        finally:
            self._telling = False


def numbers(session: Session, rate: float, differences: Differences | None) -> str:
    """Milliseconds, bytes and differences as a table in Markdown."""
    decoders = session.decoders
    index = session.wish.look.candidate
    chosen = decoders.candidates[index]
    fp32 = decoders.reference.times.median
    own = decoders.quantized(index).times.median if decoders.is_open(index) else None
    smaller = decoders.reference_bytes / chosen.bytes
    lines = [
        f"| | fp32 | {chosen.bits} |",
        "|:--|--:|--:|",
        f"| Decoding | {_ms(fp32)} | {_ms(own)} |",
        f"| Size | {_mb(decoders.reference_bytes)} | {_mb(chosen.bytes)} |",
        f"| Updates | | {rate:.1f} /s |",
    ]
    if differences is not None:
        mean, high = differences.visible
        lines += [
            f"| Visible error, mean | | {mean:.1f}x |",
            f"| 95th percentile | | {high:.1f}x |",
            f"| Texture, PSNR | | {differences.psnr:.1f} dB |",
            f"| Mesh, RMS | | {differences.mesh:.2f} mm |",
        ]
    lines += ["", f"{smaller:.1f} times smaller. Decoding: median of 30. Errors: of the face."]
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"


def _mb(value: int) -> str:
    return f"{value / 1e6:.2f} MB"


_CAPTIONS = {
    ERRORS[0]: "Times the contrast that is just seen. A fast proxy, not FovVideoVDP.",
    ERRORS[1]: "Quantized minus fp32, in display levels of 255.",
}
