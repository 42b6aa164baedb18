"""``python -m esca.demo FOLDER``: train the embedded avatar anew and put it into the package."""

import sys
from pathlib import Path

from rich.progress import Progress

from esca.avatars import save_avatar
from esca.captures.reader import open_capture
from esca.demo import AVATAR, TEXTURE, record_demo
from esca.training import TrainConfig, train

FRAMES = 260
CONFIG = TrainConfig(
    variant="base", texture_size=TEXTURE, latent=128, steps=1600, batch=4, screen_scale=0.0
)


def main() -> None:
    """Record, train, and store the weights in half precision."""
    folder = Path(sys.argv[1])
    with Progress() as bar:
        recording = bar.add_task("Recording")
        root = record_demo(
            folder, FRAMES, progress=lambda n, of: bar.update(recording, completed=n, total=of)
        )
        training = bar.add_task("Training")
        avatar = train(
            open_capture(root),
            CONFIG,
            folder / "run",
            progress=lambda n, of: bar.update(training, completed=n, total=of),
        )
    save_avatar(avatar, AVATAR, half=True)


if __name__ == "__main__":
    main()
