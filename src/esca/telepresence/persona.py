"""Everything about a person that a receiver needs besides the decoder, as one small file.

It is handed over once, with the artifact, before any call: who receives needs neither the capture
nor the fp32 avatar, and no packet has to carry what never changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from esca.avatars import Avatar
from esca.captures.geometry import Camera, FloatArray, Topology
from esca.captures.normalize import channels_first, resize
from esca.captures.reader import Capture
from esca.errors import EscaError
from esca.evaluation.protocol import VIEWS
from esca.evaluation.windows import cropped, head_box
from esca.files import written_beside
from esca.quantization.calibration import (
    CalibrationConfig,
    calibration_samples,
    check_fits,
    encode_each,
)
from esca.quantization.grid import Grid
from esca.rendering.atlas import BLEED, border_texels, rasterize_uv
from esca.runtime.artifact import Artifact
from esca.telepresence.codec import CodeModel, model_of

FORMAT = "esca-persona-1"
MARGIN = 0.1
"""Border of the window around the head, as a part of it."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Persona:
    """A person as one camera sees them.

    ``texture_scale``, ``texture_offset``: (3, 1, 1) and (3, T, T): raw texture, 0 to 255, is
    ``decoded * scale + offset``, the camera's colours included. ``vertex_mean``: (3V,) mm.
    ``border``: targets and sources of :func:`esca.rendering.atlas.border_texels`. ``camera``:
    limited to the head. ``transform``: (3, 4) head-to-world, the pose in which the head is shown.
    """

    codes: CodeModel
    texture_scale: Tensor
    texture_offset: Tensor
    vertex_mean: Tensor
    vertex_std: float
    topology: Topology
    border: tuple[NDArray[np.int64], NDArray[np.int64]]
    camera: Camera
    transform: FloatArray

    @property
    def view(self) -> Tensor:
        """(3,) float32 unit vector from the head to the camera."""
        return torch.from_numpy(self.camera.view_direction(self.transform)).float()


def build_persona(
    capture: Capture,
    avatar: Avatar,
    artifact: Artifact,
    camera: str | None = None,
    frames: int = 64,
    progress: Progress | None = None,
) -> Persona:
    """Encode ``frames`` calibration frames and gather the rest.

    ``camera``: id (default: the rig's front camera, or else the capture's first). EscaError if
    avatar, artifact and capture are not of one subject.
    """
    check_fits(avatar, capture)
    grid = code_grid(artifact, avatar.latent)
    samples = calibration_samples(capture, CalibrationConfig(frames=frames))
    codes = encode_each(avatar, capture, [sample.frame_id for sample in samples], progress)
    chosen = capture.camera(_front(capture) if camera is None else camera)
    first = samples[0].frame_id
    transform = capture.transform(first)
    box = head_box(chosen, [capture.vertices(first)], transform[None], MARGIN)
    factor, offset = avatar.colour_line(capture.camera_index(chosen.id))
    mean = resize(channels_first(capture.texture_mean), avatar.texture_size)
    foreground = rasterize_uv(capture.topology, avatar.texture_size).foreground
    return Persona(
        codes=model_of(codes, grid),
        texture_scale=factor * capture.texture_std,
        texture_offset=offset * capture.texture_std + mean,
        vertex_mean=torch.from_numpy(capture.vertex_mean),
        vertex_std=capture.vertex_std,
        topology=capture.topology,
        border=border_texels(foreground, BLEED),
        camera=cropped(chosen, box, 1.0),
        transform=transform,
    )


def _front(capture: Capture) -> str:
    ids = [camera.id for camera in capture.cameras]
    return VIEWS["front"] if VIEWS["front"] in ids else ids[0]


def code_grid(artifact: Artifact, latent: int) -> Grid:
    """The grid of the decoder's input ``z``; EscaError unless it takes codes of that length."""
    quantized = artifact.quantized
    found = [node for node in quantized.graph.inputs if node.name == "z"]
    if not found or found[0].shape != (latent,):
        shape = found[0].shape if found else None
        raise EscaError(f"artifact: input 'z' has shape {shape}, expected ({latent},)")
    return quantized.grids["z"]


def save_persona(persona: Persona, path: Path) -> None:
    """Write a persona as safetensors, beside first and then renamed."""
    with written_beside(path) as beside:
        # Clones, since two fields may share memory, which the format does not take.
        tensors = {
            name: value.clone(memory_format=torch.contiguous_format)
            for name, value in _tensors(persona).items()
        }
        save_file(tensors, beside, {"format": FORMAT, "camera": persona.camera.id})


def load_persona(path: Path) -> Persona:
    """Read a persona; EscaError names what is wrong with the file."""
    path = Path(path)
    if not path.is_file():
        raise EscaError(f"{path}: no such persona")
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise EscaError(f"{path}: damaged or no persona ({error})") from error
    if metadata.get("format") != FORMAT:
        raise EscaError(f"{path}: format is {metadata.get('format')!r}, expected {FORMAT!r}")
    try:
        return _persona(tensors, metadata["camera"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise EscaError(f"{path}: damaged persona, {error} is missing or wrong") from error


def _tensors(persona: Persona) -> dict[str, Tensor]:
    grid, camera, topology = persona.codes.grid, persona.camera, persona.topology
    return {
        "grid": torch.tensor([grid.scale, grid.zero_point, grid.bits], dtype=torch.float64),
        "centre": torch.from_numpy(persona.codes.centre),
        "widths": torch.from_numpy(persona.codes.widths),
        "texture_scale": persona.texture_scale,
        "texture_offset": persona.texture_offset,
        "vertex_mean": persona.vertex_mean,
        "vertex_std": torch.tensor(persona.vertex_std, dtype=torch.float64),
        "faces": torch.from_numpy(topology.faces),
        "uvs": torch.from_numpy(topology.uvs),
        "uv_faces": torch.from_numpy(topology.uv_faces),
        "border": torch.from_numpy(np.stack(persona.border)),
        "intrinsics": torch.from_numpy(camera.intrinsics),
        "extrinsics": torch.from_numpy(camera.extrinsics),
        "size": torch.tensor(camera.size),
        "transform": torch.from_numpy(np.ascontiguousarray(persona.transform)),
    }


def _persona(tensors: dict[str, Tensor], camera: str) -> Persona:
    arrays = {name: value.numpy() for name, value in tensors.items()}
    scale, zero_point, bits = tensors["grid"].tolist()
    rows, columns = tensors["size"].tolist()
    targets, sources = arrays["border"]
    return Persona(
        codes=CodeModel(
            Grid(scale, int(zero_point), int(bits)), arrays["centre"], arrays["widths"]
        ),
        texture_scale=tensors["texture_scale"],
        texture_offset=tensors["texture_offset"],
        vertex_mean=tensors["vertex_mean"],
        vertex_std=float(tensors["vertex_std"]),
        topology=Topology(arrays["faces"], arrays["uvs"], arrays["uv_faces"]),
        border=(targets, sources),
        camera=Camera(
            camera, arrays["intrinsics"], arrays["extrinsics"], np.zeros(5), (rows, columns)
        ),
        transform=arrays["transform"],
    )
