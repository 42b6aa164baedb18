"""Codec avatars: the five MultiFace networks and their checkpoints."""

from esca.avatars.avatar import Avatar, Code, build_avatar
from esca.avatars.checkpoint import load_avatar, save_avatar
from esca.avatars.config import VARIANTS, AvatarConfig, Variant

__all__ = [
    "VARIANTS",
    "Avatar",
    "AvatarConfig",
    "Code",
    "Variant",
    "build_avatar",
    "load_avatar",
    "save_avatar",
]
