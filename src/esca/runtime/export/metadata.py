"""What an exported file says about where it comes from and what it takes."""

import json

from esca.captures import Capture
from esca.files import sha256
from esca.runtime.artifact import Artifact

INPUTS = {
    "z": "latent code, (B, L), as the encoder's mean",
    "view": "unit vector from the head to the camera, head-aligned, (B, 3)",
    "average_texture": "(texture - mean) / std, unseen texels 0, (B, 3, T, T)",
    "mesh": "(vertices - mean) / std, (B, 3V)",
}
OUTPUTS = {
    "texture": "times std plus mean gives 0 to 255, before colour correction, (B, 3, T, T)",
    "mesh": "times std plus mean gives mm, (B, 3V)",
    "mean": "mean of the latent code, (B, L)",
    "logstd": "logarithm of its standard deviation, (B, L)",
}


def metadata(
    artifact: Artifact, file_sha256: str, capture: Capture | None = None
) -> dict[str, str]:
    """Facts for an exported file, each a string.

    ``file_sha256``: hash of the artifact's file. ``capture``: where the standard deviations and the
    hashes of the means are taken from; they are no part of an artifact.
    """
    graph = artifact.quantized.graph
    known = artifact.provenance
    facts = {
        "artifact_sha256": file_sha256,
        "checkpoint": str(known.get("checkpoint", "")),
        "checkpoint_sha256": str(known.get("checkpoint_sha256", "")),
        "capture": str(known.get("capture", "")),
        "calibration": json.dumps(
            {"frames": list(known.get("frames", [])), "seed": known.get("seed")}
        ),
        "inputs": json.dumps({node.name: INPUTS.get(node.name, "") for node in graph.inputs}),
        "outputs": json.dumps({label: OUTPUTS.get(label, "") for label in graph.outputs}),
        "grids": json.dumps(
            {
                name: {"scale": grid.scale, "zero_point": grid.zero_point, "bits": grid.bits}
                for name, grid in artifact.quantized.grids.items()
                if name in {node.name for node in graph.inputs} | set(graph.outputs.values())
            }
        ),
    }
    if capture is not None:
        layout = capture.layout
        facts["normalization"] = json.dumps(
            {
                "texture_std": float(capture.texture_std),
                "vertex_std": float(capture.vertex_std),
                "texture_mean_sha256": sha256(layout.texture_mean),
                "vertex_mean_sha256": sha256(layout.vertex_mean),
            }
        )
    return facts
