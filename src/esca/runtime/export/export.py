"""From an artifact's file to an exported file."""

from pathlib import Path

from esca.avatars import Avatar
from esca.captures import Capture
from esca.files import sha256
from esca.runtime.artifact import load_artifact
from esca.runtime.export.colours import add_colours
from esca.runtime.export.metadata import metadata
from esca.runtime.export.model import checked, form_named, quantized_model, save_model


def export(
    artifact: Path,
    out: Path,
    form: str,
    capture: Capture | None = None,
    colours: Avatar | None = None,
) -> int:
    """Write ``artifact`` in a form (``qdq``, ``cpu``); the number of its operators.

    ``capture``: whose normalization goes into the metadata. ``colours``: whose per-camera colour
    correction is put behind the texture.
    """
    named = form_named(form)
    loaded = load_artifact(artifact)
    model = quantized_model(loaded.quantized, named, metadata(loaded, sha256(artifact), capture))
    if colours is not None:
        add_colours(model, colours)
        model = checked(model)
    save_model(model, out)
    return len(model.graph.node)
