"""What the face mask, the visibility and the UV weight look like on the texture."""

from dataclasses import dataclass

from esca.errors import EscaError
from esca.report.images import (
    HEAT_MAP,
    Picture,
    gradient,
    heat_overlay,
    mask_overlay,
    picture,
    upright,
)
from esca.report.inputs import ReportInputs, TexelMap, TexelMaps
from esca.report.section import Section, render

SHOWN = 512
"""Most texels along one side that are shown."""


@dataclass(frozen=True)
class MapPicture:
    """A map with its caption; ``top``: what the brightest colour stands for, empty without."""

    title: str
    text: str
    shown: Picture
    top: str = ""


def section(inputs: ReportInputs) -> Section | None:
    """Overlays of every map there is."""
    if inputs.maps is None:
        return None
    html = render("maps.html", maps=_maps(inputs.maps), gradient=gradient(HEAT_MAP))
    return Section("Texture maps", "maps", html)


def _maps(maps: TexelMaps) -> list[MapPicture]:
    size = min(SHOWN, maps.mean_texture.shape[0])
    texture = upright(maps.mean_texture, size)

    def sized(values: TexelMap, name: str) -> TexelMap:
        if values.ndim != 2 or values.shape[0] != values.shape[1]:
            raise EscaError(f"report: map {name!r}: expected shape (T, T), got {values.shape}")
        return upright(values, size)

    made = [
        MapPicture(
            "Mean texture",
            "The capture's mean, in display colours.",
            picture(texture, "Mean texture"),
        )
    ]
    if maps.face is not None:
        shown = picture(mask_overlay(texture, sized(maps.face, "face")), "Facial mask")
        text = "FFAS exempts the channels that vary most inside the tinted region."
        made.append(MapPicture("Facial mask", text, shown))
    if maps.visibility is not None:
        overlay, top = heat_overlay(texture, sized(maps.visibility, "visibility"))
        text = "Pixels of the calibration views that each texel fills; grey is never seen."
        made.append(
            MapPicture("Visibility", text, picture(overlay, "Visibility"), f"{top:.3g} pixels")
        )
    if maps.weight is not None:
        overlay, top = heat_overlay(texture, sized(maps.weight, "weight"))
        text = "Visibility times facial importance: how much each texel counts in the UV Hessian."
        made.append(MapPicture("UV weight", text, picture(overlay, "UV weight"), f"{top:.3g}"))
    return made
