"""The libraries of the ``report`` extra, imported only when a page is built."""

import importlib
from typing import Any

from esca.errors import EscaError


def needed(module: str) -> Any:
    """Import one of the extra's modules; EscaError names the extra if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise EscaError(
            f"report: the package {package!r} is not installed; pip install esca[report]"
        ) from error
