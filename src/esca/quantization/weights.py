"""Integer weights and biases: symmetric scales, nearest rounding, GPTQ per output phase."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.graph.ops import Weighted
from esca.quantization.gptq import gptq_round
from esca.quantization.phases import Phase, phases, set_weight_matrix, weight_matrix
from esca.quantization.ramp import Ramp, fit_ramp

Granularity = Literal["channel", "channel_phase"]
RangeMethod = Literal["minmax", "mse", "dobi"]


@dataclass(frozen=True, eq=False)
class QuantizedWeight:
    """Symmetric integer weights of one layer.

    ``values``: int8 in the operator's layout. ``scale``: (out, phases) float32; one column where a
    scale serves the whole output channel. ``bits``: 2 to 8.
    """

    values: Tensor
    scale: Tensor
    bits: int


@dataclass(frozen=True, eq=False)
class QuantizedBias:
    """Symmetric integer texel biases. ``values``: int32 (C, H, W). ``scale``: (C,). ``bits``.

    ``ramp``: where there is one, all that is stored of the values.
    """

    values: Tensor
    scale: Tensor
    bits: int
    ramp: Ramp | None = None

    @property
    def real(self) -> Tensor:
        """(C, H, W) float32."""
        return self.values.float() * self.scale[:, None, None]


def dequantize_weight(op: Weighted, quantized: QuantizedWeight) -> Tensor:
    """Float32 weights in the operator's layout."""
    result = torch.zeros(quantized.values.shape, dtype=torch.float32)
    values = quantized.values.float()
    for phase in phases(op):
        scale = _phase_scale(quantized.scale, phase)
        set_weight_matrix(op, result, phase, weight_matrix(op, values, phase) * scale[:, None])
    return result


def _phase_scale(scale: Tensor, phase: Phase) -> Tensor:
    return scale[:, phase.index if scale.shape[1] > 1 else 0]


def symmetric_scale(
    rows: Tensor, bits: int, method: RangeMethod, importance: Tensor | None = None, steps: int = 40
) -> Tensor:
    """(N,) steps for symmetric rounding of (N, K) rows.

    ``minmax`` covers the largest magnitude; ``mse`` searches ``steps`` shrunk ranges for the least
    ``sum importance (w - Q(w))^2``, where ``importance`` is (K,), e.g. a Hessian's diagonal;
    ``dobi`` does so with the 100 steps of 2DQuant. At 8 bits all cover the largest magnitude.
    """
    limit = 2 ** (bits - 1) - 1
    if rows.shape[1] == 0:
        return torch.ones(len(rows))
    full = rows.abs().amax(1).clamp_min(1e-12) / limit
    if method == "minmax" or bits >= 8:  # clipping does not pay where 8 bits span the rows
        return full.float()
    weights = torch.ones(rows.shape[1]) if importance is None else importance.float()
    best, least = full.clone(), torch.full_like(full, torch.inf)
    factors = torch.linspace(1.0, 0.3, steps)
    if method == "dobi":
        factors = 1 - torch.arange(100) / 100
    for factor in factors.tolist():
        scale = full * factor
        restored = torch.round(rows / scale[:, None]).clamp(-limit, limit) * scale[:, None]
        error = ((rows - restored) ** 2 * weights).sum(1)
        better = error < least
        best[better], least[better] = scale[better], error[better]
    return best.float()


def quantize_weight(
    op: Weighted,
    bits: int,
    granularity: Granularity,
    method: RangeMethod,
    hessians: list[Tensor] | None = None,
    damp: float = 0.01,
    block: int = 32,
    layer: str = "",
) -> QuantizedWeight:
    """Round a layer's weights to nearest, or by GPTQ where ``hessians`` (one a phase) are given.

    ``layer``: its name, for errors.
    """
    if not 2 <= bits <= 8:
        raise EscaError(f"weight bits is {bits}, expected 2 to 8")
    weight = op.weight.float()
    parts = phases(op)
    per_phase = granularity == "channel_phase" and len(parts) > 1
    matrices = [weight_matrix(op, weight, phase) for phase in parts]
    diagonals = None if hessians is None else [torch.diagonal(h) for h in hessians]
    if per_phase:
        scale = torch.stack(
            [
                symmetric_scale(matrix, bits, method, diagonals[i] if diagonals else None)
                for i, matrix in enumerate(matrices)
            ],
            dim=1,
        )
    else:
        joined = torch.cat(matrices, dim=1)
        importance = torch.cat(diagonals) if diagonals else None
        scale = symmetric_scale(joined, bits, method, importance)[:, None]
    values = torch.zeros(weight.shape, dtype=torch.int32)
    limit = 2 ** (bits - 1) - 1
    for index, (phase, matrix) in enumerate(zip(parts, matrices, strict=True)):
        steps = _phase_scale(scale, phase)
        if hessians is None or matrix.shape[1] == 0:
            integers = torch.round(matrix / steps[:, None]).clamp(-limit, limit).to(torch.int32)
        else:
            try:
                integers = gptq_round(matrix, hessians[index], steps, bits, damp, block)
            except EscaError as error:
                where = f"phase {index} of layer" if len(parts) > 1 else "layer"
                raise EscaError(f"{where} {layer!r}: {error}") from error
        set_weight_matrix(op, values, phase, integers)
    return QuantizedWeight(values.to(torch.int8), scale, bits)


def quantize_texel_bias(bias: Tensor, bits: int) -> QuantizedBias:
    """Round (C, H, W) biases to nearest on one symmetric scale a channel."""
    steps, scale = _bias_steps(bias, bits)
    return QuantizedBias(torch.round(steps).to(torch.int32), scale, bits)


def quantize_coordinates(bias: Tensor, bits: int) -> QuantizedBias:
    """Biases (C, H, W) of a sampling grid: as a ramp where they rise evenly, else to nearest."""
    steps, scale = _bias_steps(bias, bits)
    ramp = fit_ramp(steps, 2 ** (bits - 1) - 1)
    if ramp is None:
        return quantize_texel_bias(bias, bits)
    return QuantizedBias(ramp.values(*bias.shape[1:]), scale, bits, ramp)


def _bias_steps(bias: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Biases in steps of their channel's scale, and the scales (C,)."""
    if not 2 <= bits <= 16:
        raise EscaError(f"texel bias bits is {bits}, expected 2 to 16")
    limit = 2 ** (bits - 1) - 1
    scale = bias.abs().amax((1, 2)).clamp_min(1e-12) / limit
    return (bias / scale[:, None, None]).clamp(-limit, limit), scale.float()
