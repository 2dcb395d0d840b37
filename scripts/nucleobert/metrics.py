"""Metrics of binary classification, exact with ties and vectorised over sets of weights.

Every metric takes ``labels`` (n,) of 0 and 1, ``scores`` (n,) or (B, n) = P(label 1), and ``weights`` (B, n) or None
(all 1), and returns B values. An integer weight w counts as w copies of the item, so that a bootstrap of B resamples
is one call. A metric that its data leave undefined (one class only, nothing predicted positive) is NaN, never 0.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Metric = Callable[[ArrayLike, ArrayLike, ArrayLike | None], Floats]

THRESHOLD = 0.5
ECE_BINS = 10


def _prepare(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Return scores (S, n) and the weights of the positives and of the negatives (B, n); S and B are equal or 1."""
    positive = np.asarray(labels, dtype=bool)
    score = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    weight = np.ones((1, positive.size)) if weights is None else np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if score.shape[-1] != positive.size or weight.shape[-1] != positive.size:
        raise ValueError(f"{positive.size} labels, scores {score.shape}, weights {weight.shape}")
    return score, weight * positive, weight * ~positive


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _tie_ends(ordered: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for each place in sorted rows (S, n) the first and the last place with the same score."""
    n = ordered.shape[-1]
    changes = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((len(ordered), 1), dtype=bool)
    opens, closes = np.hstack([edge, changes]), np.hstack([changes, edge])
    first = np.maximum.accumulate(np.where(opens, np.arange(n), 0), axis=-1)
    last = np.minimum.accumulate(np.where(closes, np.arange(n), n - 1)[:, ::-1], axis=-1)[:, ::-1]
    return first, last


def _running(weights: Floats) -> Floats:
    """Return cumulative sums with a leading 0: (B, n + 1)."""
    return np.hstack([np.zeros((len(weights), 1)), np.cumsum(weights, axis=-1)])


def auroc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting one half.

    >>> float(auroc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])[0])
    0.875
    """
    score, positive, negative = _prepare(labels, scores, weights)
    order = np.argsort(score, axis=-1, kind="stable")
    first, last = _tie_ends(np.take_along_axis(score, order, axis=-1))
    positive = np.take_along_axis(positive, order, axis=-1)
    running = _running(np.take_along_axis(negative, order, axis=-1))
    below = np.take_along_axis(running, first, axis=-1) + np.take_along_axis(running, last + 1, axis=-1)
    return _divide((positive * below).sum(-1) / 2, positive.sum(-1) * negative.sum(-1))


def auprc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Area under the precision-recall curve as average precision (steps, no interpolation); chance = prevalence."""
    score, positive, negative = _prepare(labels, scores, weights)
    order = np.argsort(-score, axis=-1, kind="stable")
    _, last = _tie_ends(np.take_along_axis(score, order, axis=-1))
    positive = np.take_along_axis(positive, order, axis=-1)
    true = np.take_along_axis(_running(positive), last + 1, axis=-1)
    false = np.take_along_axis(_running(np.take_along_axis(negative, order, axis=-1)), last + 1, axis=-1)
    precision = np.nan_to_num(_divide(true, true + false))
    total, others = positive.sum(-1), negative.sum(-1)
    return np.where(others > 0, _divide((positive * precision).sum(-1), total), np.nan)


def _confusion(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the weights (B,) of true positives, false positives, false negatives and true negatives."""
    score, positive, negative = _prepare(labels, scores, weights)
    called = score > THRESHOLD
    return (
        (positive * called).sum(-1),
        (negative * called).sum(-1),
        (positive * ~called).sum(-1),
        (negative * ~called).sum(-1),
    )


def accuracy(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Share of items on the right side of the threshold; label 1 is called where the score exceeds 0.5."""
    tp, fp, fn, tn = _confusion(labels, scores, weights)
    return _divide(tp + tn, tp + fp + fn + tn)


def precision(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Share of the called items that are positive; undefined when none is called."""
    tp, fp, _, _ = _confusion(labels, scores, weights)
    return _divide(tp, tp + fp)


def recall(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Share of the positives that are called."""
    tp, _, fn, _ = _confusion(labels, scores, weights)
    return _divide(tp, tp + fn)


def f1(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Harmonic mean of precision and recall; undefined without positives."""
    tp, fp, fn, _ = _confusion(labels, scores, weights)
    return np.where(tp + fn > 0, _divide(2 * tp, 2 * tp + fp + fn), np.nan)


def mcc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Matthews correlation; undefined when all items are of one class or all are called alike."""
    tp, fp, fn, tn = _confusion(labels, scores, weights)
    return _divide(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def brier(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Mean squared distance of the score from the label; lower is better."""
    score, positive, negative = _prepare(labels, scores, weights)
    return _divide((positive * (1 - score) ** 2 + negative * score**2).sum(-1), (positive + negative).sum(-1))


def ece(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Expected calibration error over ten equal bins of the score: mean distance of score and observed share."""
    score, positive, negative = _prepare(labels, scores, weights)
    total = positive + negative
    bins = np.minimum((score * ECE_BINS).astype(int), ECE_BINS - 1)
    distance = sum(np.abs(((positive - total * score) * (bins == b)).sum(-1)) for b in range(ECE_BINS))
    return _divide(np.asarray(distance), total.sum(-1))


METRICS: dict[str, Metric] = {
    "auroc": auroc,
    "auprc": auprc,
    "accuracy": accuracy,
    "mcc": mcc,
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "brier": brier,
    "ece": ece,
}
RANK_METRICS = ("auroc", "auprc")
