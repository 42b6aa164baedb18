"""esca: codec avatars on headsets, from a capture to an integer 4-bit decoder."""

__version__ = "0.1.0"
