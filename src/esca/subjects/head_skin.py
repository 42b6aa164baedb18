"""The surface of a glTF head at texture resolution, at rest and as expressions change it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esca.captures.geometry import FloatArray
from esca.errors import EscaError
from esca.subjects.atlas_bake import bake, to_linear
from esca.subjects.atlas_layout import GRID, Rectangle
from esca.subjects.gltf import Material
from esca.subjects.lighting import SKIN_F0

Floats = NDArray[np.float32]

_GLTF_F0 = 0.04
"""Normal-incidence reflectance of a glTF material with specular strength 1."""

_PORE_DEPTH = 0.45
"""Pore depth in mm per unit of the base colour's high-passed logarithm."""
_PORE_LIMIT = 0.05
_WET = 0.3
"""Surfaces smoother than this (eyes, teeth) have no pores."""


@dataclass(frozen=True, eq=False)
class Chart:
    """A part's place in the atlas: its material, its own chart's bounds, and its rectangle."""

    material: Material
    bounds: tuple[FloatArray, FloatArray]
    rectangle: Rectangle


@dataclass(frozen=True, eq=False)
class RestMaps:
    """Maps at rest: ``albedo`` (T, T, 3) linear, ``height`` mm, ``specular``, ``roughness``."""

    albedo: Floats
    height: Floats
    specular: Floats
    roughness: Floats


def rest_maps(charts: Sequence[Chart], size: int) -> RestMaps:
    """Bake all charts; EscaError unless ``size`` is a multiple of 64."""
    if size < GRID or size % GRID:
        raise EscaError(f"texture size: {size!r}; a glTF head needs a multiple of {GRID}")
    albedo = np.zeros((size, size, 3), np.float32)
    specular = np.ones((size, size), np.float32)
    roughness = np.ones((size, size), np.float32)
    for chart in charts:
        where = chart.rectangle.texels(size)
        material, shape = chart.material, (*albedo[where].shape[:2], 1)

        def baked(picture: Floats | None, chart: Chart = chart, shape: tuple = shape) -> Floats:
            if picture is None:
                return np.ones(shape, np.float32)
            picture = picture[..., None] if picture.ndim == 2 else picture
            return bake(picture, chart.bounds, chart.rectangle, size)

        colour = None if material.colour is None else to_linear(material.colour)
        albedo[where] = baked(colour) * np.array(material.colour_factor, np.float32)
        roughness[where] = baked(material.roughness)[..., 0] * material.roughness_factor
        strength = baked(material.specular)[..., 0] * material.specular_factor
        specular[where] = strength * (_GLTF_F0 / SKIN_F0)
    height = _pores(albedo) * (roughness > _WET)
    # Charts are laid out as glTF has them, with v downwards; upright files have it upwards.
    return RestMaps(
        np.clip(albedo, 0.0, 1.0)[::-1],
        height[::-1],
        specular[::-1],
        np.clip(roughness, 0.05, 1.0)[::-1],
    )


def _pores(albedo: Floats) -> Floats:
    """(T, T) height in mm: what is darker than its surroundings lies a little deeper."""
    size = len(albedo)
    bright = np.log(albedo @ np.array([0.2126, 0.7152, 0.0722], np.float32) + 0.02)
    coarse = Image.fromarray(bright).resize((size // 8, size // 8), Image.Resampling.BOX)
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return np.clip(_PORE_DEPTH * (bright - smooth), -_PORE_LIMIT, _PORE_LIMIT).astype(np.float32)


def compression(
    rest: Floats, posed: Floats, faces: NDArray[np.int32], weld: NDArray[np.intp]
) -> Floats:
    """(V,) how much the skin around each vertex is squeezed together, 0 (not at all) to 0.6.

    One minus the ratio of the posed to the resting area of the triangles around the surface point.
    """
    count = int(weld.max()) + 1
    areas = []
    for vertices in (rest, posed):
        corners = vertices[faces]
        area = np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        areas.append(np.bincount(weld[faces].ravel(), np.repeat(area, 3), minlength=count))
    ratio = areas[1] / np.maximum(areas[0], 1e-9)
    squeezed = np.clip(1.0 - ratio, 0.0, 0.6)
    # Average over the neighbourhood: folds are wider than one triangle.
    for _ in range(2):
        mean = squeezed[weld[faces]].mean(axis=1)
        total = np.bincount(weld[faces].ravel(), np.repeat(mean, 3), minlength=count)
        around = np.bincount(weld[faces].ravel(), minlength=count)
        squeezed = total / np.maximum(around, 1)
    return squeezed[weld].astype(np.float32)


def squeezed_skin(maps: RestMaps, squeeze: Floats) -> tuple[Floats, Floats, Floats]:
    """Albedo, height and occlusion factor of skin under ``squeeze``, a (T, T) map.

    A generic model, not a measurement: squeezed skin holds more blood (darker, above all in green
    and blue), its relief deepens up to fourfold, and its folds keep out up to 40 % of the light.
    """
    blood = 1.0 - squeeze[..., None] * np.array([0.10, 0.30, 0.30], np.float32)
    return maps.albedo * blood, maps.height * (1.0 + 5.0 * squeeze), 1.0 - 0.65 * squeeze


def weighted(weights: Mapping[str, float], names: Sequence[str]) -> Floats:
    """(K,) weights in the order of ``names``; EscaError for one that is not a number in [0, 1]."""
    for name, weight in weights.items():
        if not 0.0 <= weight <= 1.0:
            raise EscaError(f"expression {name!r}: weight {weight!r}; expected one in [0, 1]")
    return np.array([weights.get(name, 0.0) for name in names], np.float32)
