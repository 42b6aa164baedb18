"""What every engine offers."""

from typing import Protocol

from torch import Tensor


class Decoder(Protocol):
    """Anything that turns codes and view directions into textures and meshes."""

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) and (B, 3) float32 on the CPU to (B, 3, T, T) and (B, 3V), both normalized."""
        ...
