"""Whether an artifact is a decoder of an avatar."""

from pathlib import Path

from esca.avatars import Avatar
from esca.errors import EscaError
from esca.runtime.artifact import Artifact


def check_artifact_fits(avatar: Avatar, artifact: Artifact, path: Path) -> None:
    """EscaError unless the artifact takes the avatar's codes and makes its textures and meshes."""
    graph = artifact.quantized.graph
    names = [node.name for node in graph.inputs]
    if names != ["z", "view"]:
        raise EscaError(f"{path}: takes {', '.join(names)}, expected a decoder's z and view")
    made = {label: graph.by_name[name].shape for label, name in graph.outputs.items()}
    for what, own, other in (
        ("texture", made["texture"][1], avatar.texture_size),
        ("mesh", made["mesh"][0], avatar.vertex_values),
        ("latent", graph.by_name["z"].shape[0], avatar.latent),
    ):
        if own != other:
            raise EscaError(f"{path}: {what} is {own}, the checkpoint's is {other}")
