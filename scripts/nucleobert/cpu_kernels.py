"""What torch computes slowly on a CPU: attention in bfloat16, dropout, and large tensors' memory.

On a GPU attention and dropout are torch's own.
"""

import ctypes
import sys
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# The name under which transformers' models find the attention (`bert`).
ATTENTION = "nucleobert"
# Scores of attention that are held at once: they stay in a CPU's caches.
_SCORES = 1 << 22


class _Attention(torch.autograd.Function):
    """Attention by products of matrices, which a CPU multiplies in bfloat16 faster than torch's fused kernel does.

    The scores are computed again in the backward pass, so that no more memory is held than by the fused kernel.
    """

    # Under autocast the softmax would be in float32.
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value, mask)
        found = torch.empty_like(query)
        for rows in _parts(query, key):
            found[rows] = _shares(query, key, mask, rows) @ value[rows]
        return found

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, mask = ctx.saved_tensors
        of_query, of_key, of_value = (torch.empty_like(tensor) for tensor in (query, key, value))
        for rows in _parts(query, key):
            shares = _shares(query, key, mask, rows)
            of_value[rows] = shares.mT @ gradient[rows]
            of_shares = gradient[rows] @ value[rows].mT
            of_scores = torch._softmax_backward_data(of_shares, shares, -1, shares.dtype)
            of_query[rows] = of_scores @ key[rows]
            of_key[rows] = of_scores.mT @ query[rows]
        return of_query, of_key, of_value, None


def _parts(query: torch.Tensor, key: torch.Tensor) -> list[slice]:
    """Return the slices of the sequences that are computed at once."""
    each = query.shape[1] * query.shape[2] * key.shape[2]
    size = max(_SCORES // each, 1)
    return [slice(start, start + size) for start in range(0, len(query), size)]


def _shares(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, rows: slice) -> torch.Tensor:
    """Return how much each token attends to each, (rows, heads, queries, keys)."""
    scores = query[rows] @ key[rows].mT
    if mask is None:
        return scores.softmax(-1)
    if mask.dtype == torch.bool:
        # Not minus infinity: padding may attend to nothing, and must not be NaN, which no share of 0 takes away.
        return scores.masked_fill(~mask[rows], torch.finfo(scores.dtype).min).softmax(-1)
    return (scores + mask[rows]).softmax(-1)


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, dropout: float = 0.0
) -> torch.Tensor:
    """Return what each query finds, (n, heads, queries, d), as torch's ``scaled_dot_product_attention`` does.

    In bfloat16 on a CPU the scores are rounded to bfloat16, as without a fused kernel, which keeps them in float32.

    Parameters
    ----------
    query, key, value
        (n, heads, queries or keys, d).
    mask
        True where a query attends to a key, or what is added to the scores; shape (n, heads, queries, keys), or 1 for
        what it is the same for. None: all attend to all.
    dropout
        Share of what is attended to that is dropped; with any, torch's own is used.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or dropout:
        return functional.scaled_dot_product_attention(query, key, value, mask, dropout)
    if mask is not None:
        mask = (mask if mask.dtype == torch.bool else mask.to(query.dtype)).expand(len(query), -1, -1, -1)
    found: torch.Tensor = _Attention.apply(query * query.shape[-1] ** -0.5, key, value, mask)
    return found


class Dropout(nn.Dropout):
    """Dropout that draws 16 bits for each value, where torch draws 64, by one thread, on CPUs that are not Intel's."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values, each 0 with the probability `p` (to 2^-16) in training, the others scaled up."""
        below = round(self.p * 2**16)
        if not self.training or values.device.type != "cpu" or not 0 < below < 2**16:
            return super().forward(values)
        bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = bits[: values.numel()].view(values.shape) >= below - 2**15
        return values * (kept.to(values.dtype) / (1 - below / 2**16))


def keep_memory() -> None:
    """Have this process keep memory that it frees, where the C library is glibc.

    Each large tensor would else be given back to the system and be asked for anew, page by page.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        most_mapped, trim_threshold = -4, -1
        libc.mallopt(most_mapped, 0)
        libc.mallopt(trim_threshold, -1)
