"""Studio lighting: soft light from all around, a broad key, and skin that shines with the view.

Diffuse light is a smooth environment, so its irradiance is a spherical-harmonics polynomial of
order 2 (Ramamoorthi and Hanrahan 2001). Specular light comes from the area lights one by one
through a GGX lobe, widened by the size of the light (Karis 2013), plus the environment's own
reflection through Karis' mobile fit of the split-sum integral. All colours are linear RGB.
Directions are in head-aligned axes of the head *at rest*: the lights stand still in the studio.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SKIN_F0 = 0.028
"""Normal-incidence reflectance of skin (index of refraction 1.4), that Skin.specular scales."""

SCATTER = np.array([0.75, 0.35, 0.2], np.float32)
"""Share of the bump map that each channel's diffuse light ignores: it travels under the skin."""

EXPOSURE = 0.62
"""Factor on radiance before the tone curve."""


@dataclass(frozen=True)
class AreaLight:
    """A round lamp: ``yaw`` and ``pitch`` in degrees (left and up positive), seen under ``radius``.

    ``power``: irradiance on a surface that faces it. ``warmth`` > 0 shifts it from blue to red.
    """

    yaw: float
    pitch: float
    radius: float
    power: float
    warmth: float = 0.0

    @property
    def direction(self) -> NDArray[np.float64]:
        """(3,) unit vector towards the lamp."""
        yaw, pitch = np.radians([self.yaw, self.pitch])
        return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])

    @property
    def colour(self) -> NDArray[np.float64]:
        """(3,) irradiance of a surface that faces the lamp."""
        return self.power * (1.0 + self.warmth * np.array([1.0, 0.0, -1.0]))


STUDIO_LIGHTS = (
    AreaLight(34.0, 36.0, 7.0, 1.05, 0.04),
    AreaLight(-40.0, 22.0, 9.0, 0.50, -0.01),
    AreaLight(0.0, 64.0, 10.0, 0.36),
    AreaLight(80.0, 12.0, 7.0, 0.40, -0.04),
    AreaLight(-84.0, 14.0, 7.0, 0.46, -0.04),
    AreaLight(4.0, -34.0, 10.0, 0.16, 0.03),
    AreaLight(132.0, 28.0, 8.0, 0.34, -0.03),
    AreaLight(-134.0, 30.0, 8.0, 0.34, -0.03),
)


@dataclass(frozen=True)
class Lighting:
    """Lamps and the even light between them. ``ambient``: (r, g, b) irradiance from everywhere."""

    lights: tuple[AreaLight, ...] = STUDIO_LIGHTS
    ambient: tuple[float, float, float] = (0.30, 0.31, 0.33)

    @cached_property
    def _directions(self) -> Floats:
        return np.array([light.direction for light in self.lights], np.float32).reshape(-1, 3)

    @cached_property
    def _colours(self) -> Floats:
        return np.array([light.colour for light in self.lights], np.float32).reshape(-1, 3)

    @cached_property
    def _irradiance(self) -> Floats:
        """(9, 3) coefficients of the irradiance in the basis of ``_harmonics``."""
        total = np.zeros((9, 3))
        total[0] = np.asarray(self.ambient)
        # A lamp of angular radius a: cosine lobe of order 2, its bands damped by a disc's.
        for light in self.lights:
            size = np.cos(np.radians(light.radius))
            bands = np.array([0.25, 0.5 * (1 + size) / 2, 0.3125 * size * (1 + size) / 2])
            x, y, z = light.direction
            basis = np.array([1, x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y])
            # Legendre addition theorem: P2(a.b) in the same un-normalized polynomials.
            scale = np.array([1, 1, 1, 1, 3, 3, 0.25, 3, 0.75])
            band = bands[[0, 1, 1, 1, 2, 2, 2, 2, 2]]
            total += (band * scale * basis)[:, None] * light.colour
        return total.astype(np.float32)

    def irradiance(self, normals: Floats) -> Floats:
        """(N, 3) irradiance, scaled so that a white surface has that radiance; normals (N, 3)."""
        return np.maximum(_harmonics(normals).T @ self._irradiance, 0.02)

    def diffuse(self, smooth: Floats, bumped: Floats, albedo: Floats, occlusion: Floats) -> Floats:
        """(N, 3) radiance of scattered light.

        ``smooth`` and ``bumped``: (N, 3) unit normals without and with the bump map. ``albedo``:
        (N, 3). ``occlusion``: (N,) ambient visibility; dim places redden, as light bounces there
        between skin and skin (the multi-bounce fit of Jimenez et al. 2016).
        """
        light = SCATTER * self.irradiance(smooth) + (1.0 - SCATTER) * self.irradiance(bumped)
        visible = occlusion[:, None]
        a, b, c = 2.0404 * albedo - 0.3324, -4.7951 * albedo + 0.6417, 2.7552 * albedo + 0.6903
        light *= np.maximum(visible, ((visible * a + b) * visible + c) * visible)
        light *= albedo
        return light

    def specular(
        self, normals: Floats, view: Floats, specular: Floats, roughness: Floats, occlusion: Floats
    ) -> Floats:
        """(N, 3) mirrored radiance towards ``view``, (N, 3) unit vectors from surface to camera.

        ``specular`` scales ``SKIN_F0``; ``roughness`` in (0, 1]; both (N,).
        """
        facing = np.clip(np.einsum("ij,ij->i", normals, view), 1e-3, 1.0)
        f0 = np.minimum(SKIN_F0 * specular, 1.0)
        alpha = roughness * roughness
        result = self._mirrored_environment(normals, view, facing, f0, roughness)
        lit = np.maximum(self._directions @ normals.T, 0.0)
        toward = self._directions @ view.T
        for index, light in enumerate(self.lights):
            radius = float(np.radians(light.radius))
            lit[index] = _ggx(lit[index], facing, toward[index], f0, alpha, radius)
        result += lit.T @ self._colours
        result *= occlusion[:, None]
        return result

    def _mirrored_environment(
        self, normals: Floats, view: Floats, facing: Floats, f0: Floats, roughness: Floats
    ) -> Floats:
        mirrored = 2.0 * facing[:, None] * normals - view
        x = 1.0 - roughness
        a = np.minimum(x * x, np.exp2(-9.28 * facing)) * x + 0.0425 - 0.0275 * roughness
        scale = -1.04 * a + 1.04 - 0.572 * roughness
        shift = 1.04 * a - 0.04 + 0.022 * roughness
        return (f0 * scale + np.maximum(shift, 0.0))[:, None] * (0.6 * self.irradiance(mirrored))


def _harmonics(normals: Floats) -> Floats:
    """(9, N) un-normalized real spherical harmonics up to order 2."""
    x, y, z = np.ascontiguousarray(normals.T)
    basis = np.empty((9, len(normals)), np.float32)
    basis[0] = 1.0
    basis[1], basis[2], basis[3] = x, y, z
    np.multiply(x, y, out=basis[4])
    np.multiply(y, z, out=basis[5])
    np.multiply(3.0 * z, z, out=basis[6])
    basis[6] -= 1.0
    np.multiply(x, z, out=basis[7])
    np.multiply(x - y, x + y, out=basis[8])
    return basis


def _ggx(
    lit: Floats, facing: Floats, toward: Floats, f0: Floats, alpha: Floats, radius: float
) -> Floats:
    """(N,) reflected share of a lamp's irradiance: D * V * F * cos, over a lamp of angular radius.

    ``lit`` = n.l, ``facing`` = n.v, ``toward`` = l.v. White surfaces have radiance 1 under
    irradiance 1 in this file, hence the factor pi that cancels the one in D.
    """
    half = np.sqrt(np.maximum(2.0 + 2.0 * toward, 1e-6))
    n_dot_h = np.minimum((lit + facing) / half, 1.0)
    wide = np.minimum(alpha + 0.5 * radius, 1.0)
    square = wide * wide
    lobe = n_dot_h * n_dot_h * (square - 1.0) + 1.0
    # Only the lobe widens with the lamp; shadowing keeps the surface's own roughness.
    spread = square / (lobe * lobe)
    keep = 1.0 - alpha
    visible = 0.5 / (lit * (facing * keep + alpha) + facing * (lit * keep + alpha) + 1e-4)
    grazing = 1.0 - 0.5 * half
    square_grazing = grazing * grazing
    fresnel = f0 + (1.0 - f0) * (square_grazing * square_grazing * grazing)
    return spread * visible * fresnel * lit


def tone(radiance: Floats) -> Floats:
    """Display values in [0, 1) of linear radiance: exposure, a soft shoulder, the sRGB curve."""
    linear = np.maximum(radiance, 0.0) * np.float32(EXPOSURE)
    knee = np.float32(0.5)
    over = np.maximum(linear - knee, 0.0)
    linear = np.minimum(linear, knee) + over / (1.0 + over / (0.97 - knee))
    low = 12.92 * linear
    high = 1.055 * np.maximum(linear, 1e-6) ** np.float32(1.0 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, low, high).astype(np.float32)
