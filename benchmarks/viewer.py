"""Updates a second that the viewer shows in a headless Chromium on the same machine, by layout.

    python -m benchmarks.viewer ARTIFACT AVATAR CAPTURE [--segment NAME] [--seconds 10]
                                [--window 800x600 ...] [--pictures FOLDER]

Plays a segment in each window and layout, after 4 s to settle, and prints a table: updates a second
(shown by the browser, as the page's own panel counts them), and the server's processor time for
each.
``--pictures``: of the last window, a picture of the page in each layout, as in docs/gallery.
"""

import argparse
import threading
import time
from pathlib import Path

from PIL import Image
from tests.viewer.browser import chromium, opened, wait_for

from esca.viewer.view import Page, serving

LAYOUTS = ("Quantized", "Split", "Side by side")
SETTLE = 4.0
DISMISS = """for (const button of document.querySelectorAll(".mantine-Notification-closeButton"))
    button.click()"""
"""The browser's notice that it has no GPU, on top of the first head."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("artifact", "avatar", "capture"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--segment")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--window", nargs="+", default=["800x600", "1280x800"])
    parser.add_argument("--pictures", type=Path)
    wanted = parser.parse_args()
    print("| window | view | updates a second | server, ms |\n|---|---|---|---|")
    for window in wanted.window:
        width, height = map(int, window.split("x"))
        with (
            serving([wanted.artifact], wanted.avatar, wanted.capture, port=8123) as page,
            opened(chromium(), page.address, (width, height)) as tab,
        ):
            wait_for(page.server.get_clients, "browser")
            begin(page, wanted.segment)
            for layout in LAYOUTS:
                page.panel.layout.value = layout
                time.sleep(SETTLE)
                rate, spent = measured(page, wanted.seconds)
                print(f"| {window} | {layout} | {rate:.1f} | {spent:.0f} |", flush=True)
                if wanted.pictures is not None and window == wanted.window[-1]:
                    tab.evaluate(DISMISS)
                    name = layout.split()[0].lower()
                    time.sleep(SETTLE)
                    page_picture = Image.fromarray(tab.screenshot())
                    page_picture.save(wanted.pictures / f"viewer-{name}.webp", quality=90)


def begin(page: Page, segment: str | None) -> None:
    """Encode a segment, the longest one by default, and play it."""
    ready = threading.Event()
    segments = page.session.subject.segments
    name = segment or max(segments, key=lambda one: len(segments[one]))
    page.session.choose_segment(name, lambda _: ready.set())
    wait_for(ready.is_set, f"segment {name}")


def measured(page: Page, seconds: float) -> tuple[float, float]:
    """Updates a second; ms of this process's processor time for each."""
    spent, first, began = time.process_time(), page.session.rate.total, time.monotonic()
    time.sleep(seconds)
    updates, took = page.session.rate.total - first, time.monotonic() - began
    return updates / took, 1e3 * (time.process_time() - spent) / max(updates, 1)


if __name__ == "__main__":
    main()
