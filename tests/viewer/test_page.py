"""The page in a real browser."""

import numpy as np
import pytest
import torch
from tests.viewer.browser import chromium, opened, wait_for

from esca.viewer.drawing import BACKGROUND
from esca.viewer.view import serving

FOCUS = """(() => {
    const label = [...document.querySelectorAll('label')].find(
        label => label.textContent.trim() === 'PC 1');
    if (!label) return false;
    let part = label;
    while (!part.querySelector('[role=slider]')) part = part.parentElement;
    part.querySelector('[role=slider]').focus();
    return true;
})()"""


class Counting:
    def __init__(self, decoder):
        self.decoder = decoder
        self.codes = []

    def decode(self, z, view):
        self.codes.append(z[0].clone())
        return self.decoder.decode(z, view)


@pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
def test_a_browser_shows_the_head_and_a_slider_decodes_anew(files, port):
    with serving(files.artifacts, files.checkpoint, engine="torch", port=port) as page:
        session = page.session
        counting = Counting(session.decoders.reference.decoder)
        session.decoders.reference.decoder = counting
        session.change_look(layout="fp32")
        with opened(chromium(), page.address) as tab:
            wait_for(page.server.get_clients, "browser")
            wait_for(lambda: session.rate.total > 0, "first head")

            # The middle of the head, below its brightest texels, has the colours of its texture.
            texture, _ = counting.decode(session.code(session.wish)[None], session.wish.view[None])
            expected = np.median(session.subject.display(texture[0])[96:160, 96:160], (0, 1))

            def middle():
                picture = tab.screenshot()
                seen = picture[:, : 800 - 320]
                other = np.abs(seen.astype(int) - BACKGROUND).max(2) > 12
                rows, columns = np.nonzero(other[100:])
                if len(rows) < 5000:
                    return None
                y, x = int(np.median(rows)) + 100, int(np.median(columns))
                return np.median(picture[y - 20 : y + 20, x - 20 : x + 20], (0, 1))

            # Before the head, there may be a notice of the browser's on the empty background.
            wait_for(
                lambda: (m := middle()) is not None and np.abs(m - expected).max() < 16,
                f"a head of colour {expected}",
            )

            wait_for(lambda: tab.evaluate(FOCUS), "slider")
            before = len(counting.codes)
            tab.press("ArrowRight")
            wait_for(lambda: session.wish.sliders[0] > 0, "slider's value")
            wait_for(lambda: len(counting.codes) > before, "new decode")
            step = counting.codes[-1] - session.expressions.mean
            settings = session.wish.sliders
            torch.testing.assert_close(step, session.expressions.offset(settings))


@pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
def test_no_head_vanishes_between_two_pictures_and_the_mouse_turns_it(files, port):
    with (
        serving(files.artifacts, files.checkpoint, engine="torch", port=port) as page,
        opened(chromium(), page.address) as tab,
    ):
        session = page.session
        session.change_look(layout="fp32")
        wait_for(page.server.get_clients, "browser")
        wait_for(lambda: session.rate.total > 0, "first head")

        def covered():
            seen = tab.screenshot()[160:, : 800 - 320]
            return (np.abs(seen.astype(int) - BACKGROUND).max(2) > 12).mean()

        full = wait_for(lambda: (share := covered()) > 0.1 and share, "head")
        before = session.rate.total

        def another():
            moved = session.wish.sliders[0] + 0.02
            session.change(sliders=(moved, *session.wish.sliders[1:]))
            assert covered() > 0.8 * full
            return session.rate.total >= before + 4

        wait_for(another, "four more pictures")

        view = session.wish.view
        (client,) = page.server.get_clients().values()
        place = np.array(client.camera.position)
        for kind, x in (("mousePressed", 200), ("mouseMoved", 260), ("mouseReleased", 260)):
            tab.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=300, button="left", buttons=1,
                clickCount=1,
            )  # fmt: skip
        wait_for(lambda: np.abs(client.camera.position - place).max() > 0.5, "another camera")
        wait_for(lambda: not torch.equal(session.wish.view, view), "another direction")
