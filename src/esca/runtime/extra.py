"""Libraries that not every installation has, imported only where they are used."""

import importlib
from typing import Any

from esca.errors import EscaError


def needed(module: str, extra: str) -> Any:
    """Import a module; EscaError names the extra that brings it where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise EscaError(
            f"{extra}: the package {package!r} is not installed; pip install esca[{extra}]"
        ) from error
