"""GPTQ: rounding column by column, each error pushed onto the columns still to come.

Frantar et al., arXiv 2210.17323. Pure maths on matrices; what the columns mean is `phases`.
"""

import torch
from torch import Tensor

from esca.errors import EscaError


def gptq_round(
    weight: Tensor,
    hessian: Tensor,
    scale: Tensor,
    bits: int,
    damp: float = 0.01,
    block: int = 32,
    descending: bool = True,
) -> Tensor:
    """Integers that nearly minimize ``tr((W - sQ) H (W - sQ)^T)``.

    ``weight``: (out, K). ``hessian``: (K, K), positive semidefinite. ``scale``: symmetric steps,
    (out,), or (out, K) where they differ along a row. ``damp``: share of the mean diagonal added
    to it. ``descending``: quantize the columns of the largest diagonal first. ``block``: columns
    between updates of the rest; it changes the speed, not the result. Returns (out, K) integers in
    [-(2^(bits-1) - 1), 2^(bits-1) - 1].

    Raises :class:`EscaError` where the Hessian holds no information at all (never a silent
    identity).
    """
    limit = 2 ** (bits - 1) - 1
    work = weight.double().clone()
    h = hessian.double().clone()
    diagonal = torch.diagonal(h)
    if not bool(torch.isfinite(h).all()) or not float(diagonal.sum()) > 0:
        raise EscaError("gptq: the Hessian is zero or not finite; calibration saw no activation")
    dead = diagonal <= 0
    diagonal[dead] = diagonal[~dead].mean()  # any other value would shift the damping of the rest
    work[:, dead] = 0.0
    order = torch.argsort(diagonal, descending=True) if descending else torch.arange(len(diagonal))
    work = work[:, order]
    h = h[order][:, order]
    torch.diagonal(h).add_(damp * diagonal.mean())
    try:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
        upper = torch.linalg.cholesky(inverse, upper=True).float()
    except torch.linalg.LinAlgError as cause:
        raise EscaError(f"gptq: the Hessian is singular with damp {damp}, expected more") from cause

    work = work.float()
    steps = scale.float().reshape(len(work), -1).expand_as(work)[:, order]
    integers = torch.zeros_like(work)
    for start in range(0, work.shape[1], block):
        stop = min(start + block, work.shape[1])
        errors = torch.zeros(work.shape[0], stop - start)
        for column in range(start, stop):
            value = work[:, column : column + 1]
            step = steps[:, column : column + 1]
            rounded = torch.round(value / step).clamp(-limit, limit)
            integers[:, column : column + 1] = rounded
            error = (value - rounded * step) / upper[column, column]
            work[:, column:stop] -= error @ upper[column : column + 1, column:stop]
            errors[:, column - start : column - start + 1] = error
        work[:, stop:] -= errors @ upper[start:stop, stop:]
    result = torch.empty_like(integers)
    result[:, order] = integers
    return result.to(torch.int32)
