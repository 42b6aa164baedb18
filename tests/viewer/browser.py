"""A headless Chromium, driven over its debugging protocol: no package beyond viser's own."""

import base64
import contextlib
import io
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # WebGL without a GPU; the page itself is composited as a browser without a GPU does it.
    "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0",
)
PATIENCE = 120.0


def chromium() -> str | None:
    """Path of the browser, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """The first true value of ``condition``."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: waited {patience:g} s in vain")


class Tab:
    """One page."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def screenshot(self) -> np.ndarray:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        return np.asarray(picture.convert("RGB"))


@contextlib.contextmanager
def opened(path: str, address: str, size: tuple[int, int] = (800, 600)) -> Iterator[Tab]:
    """A browser with ``address`` open."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [path, *FLAGS, f"--user-data-dir={folder}", f"--window-size={size[0]},{size[1]}"]
        process = subprocess.Popen(
            [*command, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            told = Path(folder) / "DevToolsActivePort"
            port = wait_for(lambda: told.is_file() and told.read_text().split()[:1], "port")[0]

            def pages() -> list[dict[str, Any]]:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                    listed = json.load(answer)
                return [page for page in listed if page["url"].startswith(address)]

            page = wait_for(pages, "page")[0]
            with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()
            process.wait(20)
