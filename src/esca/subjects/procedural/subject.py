"""The procedural subject: shape, motion and skin of one person."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import Topology
from esca.errors import EscaError
from esca.subjects.procedural.atlas import place_skin
from esca.subjects.procedural.ears import build_ear
from esca.subjects.procedural.head import build_head
from esca.subjects.procedural.identity import Identity, identity, reshape
from esca.subjects.procedural.mesh import Assembly, assemble
from esca.subjects.procedural.parts import build_eye, build_teeth, build_tongue
from esca.subjects.procedural.rig import Rig, build_rig
from esca.subjects.procedural.surface import Surface
from esca.subjects.subject import Skin

_SCALES = ((1884, 1.1), (2384, 0.9), (3248, 0.7), (5182, 0.5), (8200, 0.37))
"""Vertices in all, measured, and the distance between them that gives this many."""


@lru_cache(maxsize=2)
def _canonical(vertices: int) -> Assembly:
    """The parts of the canonical head, about ``vertices`` of them in all."""
    scale = float(np.exp(np.interp(np.log(vertices), *np.log(_SCALES).T)))
    fine = 1 / scale**0.7
    head = build_head(scale)
    head = replace(head, uvs=place_skin(head.uvs))
    eye_columns, ear_columns = 2 * round(7 * fine), 2 * round(10 * fine)
    parts = [head]
    parts += [build_eye(f"eye_{side}", eye_columns) for side in "LR"]
    parts += [build_teeth(name, 2 * round(8 * fine) + 1) for name in ("upper_teeth", "lower_teeth")]
    parts += [build_tongue()]
    parts += [build_ear(f"ear_{side}", ear_columns) for side in "LR"]
    return assemble(parts)


@dataclass(frozen=True, eq=False)
class ProceduralSubject:
    """A person made from a seed; implements ``esca.subjects.subject.Subject``."""

    who: Identity
    assembly: Assembly
    rig: Rig
    surface: Surface

    @property
    def name(self) -> str:
        """Nine digits, as MultiFace's subjects have."""
        return f"{self.who.seed:09d}"

    @property
    def topology(self) -> Topology:
        """Triangles and texture chart."""
        return self.assembly.topology

    @property
    def expressions(self) -> tuple[str, ...]:
        """ARKit names."""
        return self.rig.expressions

    @property
    def description(self) -> str:
        """Provenance."""
        return (
            f"Procedural head, seed {self.who.seed}: shape, motion and skin are computed by esca "
            "from the seed. No person was scanned or photographed."
        )

    def vertices(self, weights: Mapping[str, float]) -> NDArray[np.float32]:
        """(V, 3) positions in mm, head-aligned."""
        self._check(weights)
        return self.rig.pose(weights).astype(np.float32)

    def skin(self, weights: Mapping[str, float], size: int) -> Skin:
        """The surface at ``size`` x ``size`` texels."""
        self._check(weights)
        return self.surface.skin(weights, size)

    def regions(self, size: int) -> Mapping[str, NDArray[np.bool_]]:
        """Texels of the facial regions: ``eyes``, ``mouth``, ``nose``, ``brows`` and ``face``."""
        return self.surface.regions(size)

    def _check(self, weights: Mapping[str, float]) -> None:
        known = set(self.rig.expressions)
        for name, weight in weights.items():
            if name not in known:
                raise EscaError(f"expression {name!r}: not known to procedural subjects")
            if not 0 <= weight <= 1:
                raise EscaError(f"expression {name!r}: expected a weight in [0, 1], got {weight!r}")


def procedural_subject(seed: int = 0, vertices: int = 2400) -> ProceduralSubject:
    """The person that ``seed`` stands for; same seed, same bits.

    ``vertices``: approximate size of the mesh, 1900 to 8000.

    Raises ``EscaError`` when ``seed`` is negative or ``vertices`` out of range.
    """
    if not 0 <= seed < 10**9:
        raise EscaError(f"seed: expected 0 to 999999999, got {seed!r}")
    if not 1900 <= vertices <= 8000:
        raise EscaError(f"vertices: expected 1900 to 8000, got {vertices!r}")
    who = identity(seed)
    assembly = _canonical(vertices)
    neutral, eyes = reshape(who, assembly.positions, assembly.slices["skin"])
    rig = build_rig(assembly, neutral, eyes)
    return ProceduralSubject(who, assembly, rig, Surface(who, assembly, neutral))
