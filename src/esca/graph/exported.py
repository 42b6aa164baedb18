"""Exporting a module with ``torch.export``, and reading what an exported program says."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from esca.errors import EscaError


def exported(module: nn.Module, examples: Mapping[str, Tensor]) -> torch.export.ExportedProgram:
    """The functional program of ``module`` in evaluation mode.

    ``examples``: input name -> tensor, in the order of ``forward``'s arguments. Each submodule gets
    back the mode it was in. Raises :class:`EscaError` where the module cannot be exported.
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with warnings.catch_warnings():
            # torch.export warns about its own internals; nothing in them is the user's to change.
            warnings.simplefilter("ignore", FutureWarning)
            return torch.export.export(module, tuple(examples.values())).run_decompositions({})
    except Exception as error:  # torch.export raises many types; the cause is the user's module
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        shapes = {name: tuple(tensor.shape[1:]) for name, tensor in examples.items()}
        raise EscaError(
            f"trace: {type(module).__name__} cannot be exported with inputs "
            f"{shapes}: {type(error).__name__}: {first_line}"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training


def flatten(values: Any) -> list[Any]:
    """Arguments, lists opened."""
    flat: list[Any] = []
    for value in values:
        flat.extend(flatten(value) if isinstance(value, list | tuple) else [value])
    return flat


def square(value: Any) -> int | None:
    """The one value of an int or of a list of equal ints, else None."""
    values = set(value) if isinstance(value, list | tuple) else {value}
    return values.pop() if len(values) == 1 and all(isinstance(v, int) for v in values) else None


def module_path(fx: torch.fx.Node) -> str:
    """Path of the innermost module that an exported node came from."""
    stack = list((fx.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    return re.sub(r"^L\['self'\]\.?", "", path)
