"""Integrated gradients on the word embeddings, folded from k-mers onto nucleotides.

The target is always the logit of label 1, so that a positive score speaks for label 1 and a negative one for label 0,
whatever the item's label. The baseline is the item itself with every k-mer replaced by one special token. Method:
Sundararajan et al., ICML 2017; the integral by Gauss-Legendre quadrature. The completeness error, the sum of the
scores less the difference of the two logits, is kept for every item.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from nucleobert.files import read_json, write_beside
from nucleobert.models import ARCHITECTURES, MARKER, crop, load_classifier
from nucleobert.tokens import CLS, MASK, PAD, SEP, UNK, encode, model_inputs

BASELINES = {"mask": MASK, "pad": PAD, "unk": UNK}
DELETED_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
_ROWS = 16

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Explanation:
    """What one model says of one item.

    Attributes
    ----------
    tokens
        (T,) signed scores per token in units of the logit, special tokens included; those are exactly 0.
    logit, baseline_logit
        The logit of label 1 of the item and of its baseline.
    """

    tokens: Floats
    logit: float
    baseline_logit: float

    @property
    def completeness_error(self) -> float:
        """Sum of the scores less the difference of the logits; 0 for an exact integral."""
        return float(self.tokens.sum()) - (self.logit - self.baseline_logit)


@dataclass(frozen=True)
class Reader:
    """A saved BERT classifier and how it reads a sequence."""

    model: Any
    k: int
    crop_at: str

    def read(self, sequence: str) -> tuple[Ids, Ids]:
        """Return the token ids (T,) and the offsets in `sequence` of the T + k - 3 nucleotides that they cover."""
        longest = ARCHITECTURES["bert"].longest
        offsets = crop(cast(Any, np.arange(len(sequence))), longest, self.crop_at)
        codes = crop(encode(sequence), longest, self.crop_at)
        return model_inputs([codes], self.k)[0], cast(Ids, offsets)


def load_reader(folder: str | os.PathLike[str]) -> Reader:
    """Load a fine-tuned BERT from its folder, its weights frozen, on a GPU if there is one."""
    model, k = load_classifier(folder)
    assert k is not None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Reader(model.to(device).requires_grad_(False), k, read_json(Path(folder, MARKER))["crop"])


def baseline_of(ids: ArrayLike, baseline: str) -> Ids:
    """Return token ids with all but [CLS], [SEP] and [PAD] replaced by the token named `baseline`."""
    tokens = np.asarray(ids, dtype=np.int64)
    return np.where(np.isin(tokens, (CLS, SEP, PAD)), tokens, BASELINES[baseline])


def _logits(model: Any, ids: Ids) -> Floats:
    """Return the logits of label 1 (B,) of token ids (B, T)."""
    device = next(model.parameters()).device
    with torch.no_grad():
        rows = [model(input_ids=part).logits[:, 0] for part in torch.from_numpy(ids).to(device).split(_ROWS)]
    return torch.cat(rows).double().cpu().numpy()


def integrated_gradients(model: Any, ids: ArrayLike, *, baseline: str, steps: int) -> Explanation:
    """Explain the logit of label 1 of one item.

    Parameters
    ----------
    model
        A sequence classifier with one logit that takes ``inputs_embeds``, in evaluation mode.
    ids
        (T,) token ids with their special tokens, without padding.
    baseline
        ``mask``, ``pad`` or ``unk``: the token that stands for "no k-mer".
    steps
        Points of the quadrature.
    """
    tokens = np.asarray(ids, dtype=np.int64)
    both = np.stack([tokens, baseline_of(tokens, baseline)])
    words = model.get_input_embeddings()
    device = next(model.parameters()).device

    def logit(embedded: torch.Tensor) -> torch.Tensor:
        return model(inputs_embeds=embedded).logits[:, 0]

    with torch.no_grad():
        item, nothing = words(torch.from_numpy(both).to(device)).split(1)
    scores = IntegratedGradients(logit).attribute(
        item, nothing, n_steps=steps, method="gausslegendre", internal_batch_size=_ROWS
    )
    of_item, of_baseline = _logits(model, both)
    return Explanation(scores.sum(-1)[0].double().cpu().numpy(), float(of_item), float(of_baseline))


def fold_kmers(scores: ArrayLike, k: int) -> Floats:
    """Share each k-mer's score equally among its k nucleotides: (T,) -> (T + k - 1,), with the same sum.

    >>> fold_kmers([2.0, 4.0], 2).tolist()
    [1.0, 3.0, 2.0]
    """
    return np.convolve(np.asarray(scores, dtype=np.float64), np.full(k, 1 / k))


def choose_items(labels: ArrayLike, most: int | None, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the indices of at most `most` items of each label (None: all), in their order."""
    label = np.asarray(labels)
    if most is None:
        return np.arange(label.size)
    of_labels = [np.flatnonzero(label == value) for value in np.unique(label)]
    return np.sort(np.concatenate([rng.permutation(rows)[:most] for rows in of_labels]))


def randomised_weights(
    model: Any, items: Sequence[Ids], explained: Sequence[Explanation], *, baseline: str, steps: int, seed: int
) -> float:
    """Return the mean absolute rank correlation with the scores of the same architecture with fresh random weights.

    Scores that come from what was learnt have a low one (Adebayo et al., NeurIPS 2018).
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(model)(model.config).to(next(model.parameters()).device).eval().requires_grad_(False)
    correlations = [
        spearmanr(known.tokens[1:-1], integrated_gradients(fresh, ids, baseline=baseline, steps=steps).tokens[1:-1])[0]
        for ids, known in zip(items, explained, strict=True)
    ]
    return float(np.nanmean(np.abs(correlations)))


def deletion_curve(
    model: Any, items: Sequence[Ids], explained: Sequence[Explanation], *, baseline: str, rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Return the mean logit as the tokens with the highest scores are replaced first, and in random order.

    One value for each of `DELETED_SHARES`. The faster the first falls below the second, the better the scores tell
    what the model used.
    """
    curves = []
    for ids, known in zip(items, explained, strict=True):
        nothing = baseline_of(ids, baseline)
        inner = np.arange(1, ids.size - 1)
        orders = (inner[np.argsort(-known.tokens[inner], kind="stable")], rng.permutation(inner))
        rows = np.tile(ids, (2, len(DELETED_SHARES), 1))
        for curve, order in zip(rows, orders, strict=True):
            for row, share in zip(curve, DELETED_SHARES, strict=True):
                gone = order[: round(share * inner.size)]
                row[gone] = nothing[gone]
        curves.append(_logits(model, rows.reshape(-1, ids.size)).reshape(2, -1))
    highest, random = np.mean(curves, axis=0)
    return highest.tolist(), random.tolist()


def write_attributions(path: str | os.PathLike[str], arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays without objects as a compressed NPZ; equal arrays give equal bytes."""
    with write_beside(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
