"""One decoder, several engines, one interface."""

from esca.runtime.backends.interface import Decoder
from esca.runtime.backends.open import ENGINES, Engine, open_decoder

__all__ = ["ENGINES", "Decoder", "Engine", "open_decoder"]
