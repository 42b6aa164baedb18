"""What the studio can record: the interface of a synthetic subject."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import Topology

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Skin:
    """Surface of a subject in one expression, as maps of T x T texels (array orientation).

    ``albedo``: (T, T, 3) linear reflectance in [0, 1]. ``height``: (T, T) displacement in mm along
    the normal (pores, wrinkles), used as a bump map. ``specular``: (T, T) normal-incidence
    reflectance scale, 1 = skin (F0 = 0.028). ``roughness``: (T, T) in (0, 1].
    ``occlusion``: (T, T) ambient visibility in [0, 1].
    """

    albedo: Map
    height: Map
    specular: Map
    roughness: Map
    occlusion: Map


class Subject(Protocol):
    """A head with named expressions.

    Head-aligned axes: millimetres, x to the subject's left, y up, z out of the face; the origin is
    in the middle of the head. Expression weights are in [0, 1]; missing names mean 0. Names follow
    the ARKit convention with ``_L`` / ``_R`` suffixes (``jawOpen``, ``eyeBlink_L``, ...).
    """

    @property
    def name(self) -> str:
        """Subject id, as it stands in the capture's folder name."""
        ...

    @property
    def topology(self) -> Topology:
        """Triangles and texture chart; the same for every expression."""
        ...

    @property
    def expressions(self) -> tuple[str, ...]:
        """Names of the expression weights that the subject understands."""
        ...

    @property
    def description(self) -> str:
        """Provenance and credits, as plain text for the capture's README."""
        ...

    def vertices(self, weights: Mapping[str, float]) -> NDArray[np.float32]:
        """(V, 3) positions in mm, head-aligned."""
        ...

    def skin(self, weights: Mapping[str, float], size: int) -> Skin:
        """The surface at ``size`` x ``size`` texels."""
        ...

    def regions(self, size: int) -> Mapping[str, NDArray[np.bool_]]:
        """Texels of the facial regions: ``eyes``, ``mouth``, ``nose``, ``brows`` and ``face``."""
        ...
