"""What sets the shape of an avatar."""

from dataclasses import dataclass
from typing import Literal, get_args

from esca.errors import EscaError

Variant = Literal["base", "res", "non", "bilinear", "warp"]

VARIANTS: tuple[Variant, ...] = get_args(Variant)

TEXTURE_SIZES = (256, 512, 1024)
"""Eight doublings lead to the texture, so 256 (a 1x1 start) is the smallest size there can be."""

GROWTH = 256
"""How much larger the texture is than the decoder's first feature map: eight doublings."""


@dataclass(frozen=True)
class AvatarConfig:
    """Shape of an avatar; a checkpoint's own tensors tell all of it.

    ``variant``: ``base``, ``res`` (residual convolutions), ``non`` (no texel biases), ``bilinear``
    (nearest upsampling and 3x3 convolutions), ``warp`` (a warp field moves the texture).
    ``texture_size``: texels along one side, 256, 512 or 1024. ``latent``: length of the code z.
    ``vertices``: V, the mesh carries 3V values. ``cameras``: rows of the colour correction.
    EscaError for a value outside its range.
    """

    variant: Variant = "base"
    texture_size: int = 1024
    latent: int = 256
    vertices: int = 7306
    cameras: int = 38

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise EscaError(f"variant: expected one of {' '.join(VARIANTS)}, got {self.variant!r}")
        if self.texture_size not in TEXTURE_SIZES:
            raise EscaError(f"texture_size: expected 256, 512 or 1024, got {self.texture_size!r}")
        for field in ("latent", "vertices", "cameras"):
            if getattr(self, field) < 1:
                raise EscaError(f"{field}: expected at least 1, got {getattr(self, field)!r}")

    @property
    def start(self) -> int:
        """Side of the texture decoder's first feature map: 4 at 1024, 2 at 512, 1 at 256."""
        return self.texture_size // GROWTH

    @property
    def warp_start(self) -> int:
        """Side of the warp decoder's first feature map: 2 at 1024 and 512, 1 at 256."""
        return min(2, self.start)
