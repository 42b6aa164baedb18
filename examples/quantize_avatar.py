"""A capture and a checkpoint to a scored 4-bit artifact, in Python.

python examples/quantize_avatar.py CAPTURE AVATAR OUT.esca
"""

import sys
from pathlib import Path

from esca.avatars import load_avatar
from esca.captures import open_capture
from esca.evaluation import Protocol, as_text, evaluate, method_of, prepare_clips
from esca.quantization import calibrate, load_recipe
from esca.runtime import quantized_artifact, save_artifact


def main(capture_folder: str, checkpoint: str, out: str) -> None:
    """Quantize with the full method at 4 bits, save, score on the held-out segments, print."""
    capture, avatar = open_capture(capture_folder), load_avatar(checkpoint)
    calibration = calibrate(avatar, capture)
    recipe = load_recipe("ffas-uv", "w4a4")
    artifact = quantized_artifact(calibration, recipe, Path(checkpoint), capture.subject)
    save_artifact(artifact, Path(out))
    clips = prepare_clips(capture, avatar, Protocol(scale=0.25, frames=16))
    print(as_text(evaluate([method_of(artifact)], clips), clips.protocol))


if __name__ == "__main__":
    main(*sys.argv[1:])
