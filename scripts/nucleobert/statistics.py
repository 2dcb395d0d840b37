"""Intervals and paired tests over groups of items, and the benchmark's tables.

Items of one cluster (overlapping windows, near-duplicates) are not independent, so clusters are what is resampled and
what is swapped. Means run over the folds and seeds where the metric is defined.
"""

import itertools
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from nucleobert.errors import InputError
from nucleobert.metrics import METRICS, RANK_METRICS, Floats, Metric

LEVEL = 0.95
SUMMARY_COLUMNS = [
    "task",
    "split",
    "arm",
    "init",
    "k",
    "metric",
    "mean",
    "ci_low",
    "ci_high",
    "seeds",
    "n_test",
    "n_positive",
    "published",
    "folds",
    "note",
]
COMPARISON_COLUMNS = [
    "task",
    "split",
    "arm",
    "reference",
    "metric",
    "difference",
    "ci_low",
    "ci_high",
    "p_value",
    "p_holm",
    "n_test",
    "clusters",
    "note",
]
# The calibration error of a resample is above that of the sample, so that percentiles miss it.
WITHOUT_INTERVAL = {"ece"}
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Fold:
    """One arm's answers on one fold's test set.

    Attributes
    ----------
    number
        The fold.
    ids, labels, clusters
        (n,) each; clusters as integers 0..G-1.
    scores
        (seeds, n), P(label 1).
    """

    number: int
    ids: tuple[str, ...]
    labels: NDArray[np.int8]
    clusters: NDArray[np.intp]
    scores: Floats


@dataclass(frozen=True)
class Estimate:
    """A mean over folds and seeds with its interval.

    Attributes
    ----------
    mean, low, high
        NaN where undefined.
    values
        (n,) the mean in each resample; NaN where a resample leaves it undefined in every fold.
    undefined_folds
        Folds in which the metric is undefined for every seed.
    """

    mean: float
    low: float
    high: float
    values: Floats
    undefined_folds: tuple[int, ...]


def read_folds(predictions: str | os.PathLike[str], split: str | os.PathLike[str]) -> list[Fold]:
    """Read one arm's predictions and the clusters of the split.

    Parameters
    ----------
    predictions
        Table with the columns fold, seed, id, label and score.
    split
        Table with the columns id, fold, part and cluster.

    Raises
    ------
    InputError
        If the test items of a fold differ from the split's, or between seeds, or a score is outside 0-1.
    """
    table = pd.read_csv(predictions, sep="\t", dtype={"id": str})
    parts = pd.read_csv(split, sep="\t", dtype={"id": str, "cluster": str}, keep_default_na=False)
    tests = dict(tuple(parts[parts["part"] == "test"].groupby("fold")))
    folds = []
    for number, of_fold in table.groupby("fold", sort=True):
        place = f"{predictions}, fold {number}"
        if not of_fold["score"].between(0, 1).all():
            raise InputError(place, "a score is missing or outside 0-1", "run the arm's predictions again")
        expected = tests.get(number)
        runs = [run.set_index("id") for _, run in of_fold.groupby("seed", sort=True)]
        ids = runs[0].index
        for run in runs:
            if expected is None or not ids.equals(run.index) or set(ids) != set(expected["id"]) or not ids.is_unique:
                raise InputError(
                    place, f"the items are not the test items of {split}", "run the arm's predictions again"
                )
        assert expected is not None
        folds.append(
            Fold(
                number=int(str(number)),
                ids=tuple(ids),
                labels=runs[0]["label"].to_numpy(np.int8),
                clusters=pd.factorize(expected.set_index("id")["cluster"].reindex(ids))[0],
                scores=np.stack([run["score"].to_numpy(np.float64) for run in runs]),
            )
        )
    return folds


def _defined_mean(values: Floats, axis: int | tuple[int, ...] = 0) -> Floats:
    """Return the mean over the defined values; NaN where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis))


def resample(clusters: ArrayLike, n: int, rng: np.random.Generator) -> Floats:
    """Draw clusters with replacement; return how often each item is drawn in each of `n` resamples: (n, items)."""
    index = np.asarray(clusters, dtype=np.intp)
    groups = int(index.max()) + 1
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=n).astype(np.float64)[:, index]


def _blocks(n: int, width: int) -> Iterator[slice]:
    """Cut `n` rows of `width` numbers into blocks small enough for memory."""
    step = max(1, _BLOCK // max(1, width))
    return (slice(start, start + step) for start in range(0, n, step))


def _resampled(metric: Metric, labels: NDArray[np.int8], scores: Floats, weights: Floats) -> Floats:
    """Return the metric of one run (n,) under each row of `weights` (B, n)."""
    return np.concatenate([metric(labels, scores, weights[rows]) for rows in _blocks(*weights.shape)])


def _swapped(metric: Metric, labels: NDArray[np.int8], x: Floats, y: Floats, swap: NDArray[np.bool_]) -> Floats:
    """Return the differences of the metric between runs x and y (n,) with the items in each row of `swap` swapped."""
    return np.concatenate(
        [
            metric(labels, np.where(swap[rows], y, x), None) - metric(labels, np.where(swap[rows], x, y), None)
            for rows in _blocks(*swap.shape)
        ]
    )


def interval(values: Floats) -> tuple[float, float]:
    """Return the central 95 % of the defined resampled values; NaN without any."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def interval_of_columns(values: Floats) -> tuple[Floats, Floats]:
    """Return the central 95 % of the defined values of each column of (n, L): two (L,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def group_bootstrap(folds: Sequence[Fold], metric: Metric, n: int, seed: int) -> Estimate:
    """Estimate a metric's mean over folds and seeds with a percentile interval.

    The clusters are drawn with replacement within the test set of each fold. The draws depend only on `seed`, the
    fold's number and its clusters, so that two arms on the same test sets get the same resamples, and the difference
    of their `values` is paired.
    """
    points, draws = [], []
    for fold in folds:
        weights = resample(fold.clusters, n, np.random.default_rng([seed, fold.number]))
        points.append([float(metric(fold.labels, scores, None)[0]) for scores in fold.scores])
        draws.append([_resampled(metric, fold.labels, scores, weights) for scores in fold.scores])
    per_fold = _defined_mean(np.array(points), axis=1)
    values = _defined_mean(_defined_mean(np.array(draws), axis=1), axis=0)
    undefined = tuple(fold.number for fold, value in zip(folds, per_fold, strict=True) if np.isnan(value))
    low, high = interval(values) if len(undefined) < len(folds) else (math.nan, math.nan)
    return Estimate(float(_defined_mean(per_fold)), low, high, values, undefined)


def paired_permutation(a: Sequence[Fold], b: Sequence[Fold], metric: str, n: int, seed: int) -> float:
    """Return the two-sided p-value of equal mean metrics of two arms on the same test sets.

    Under the null hypothesis the two arms' scores of a cluster may be swapped. For metrics of rank the scores are
    first replaced by their ranks within the run, so that arms on different scales can be swapped. Where the arms have
    different numbers of seeds, the runs of each are repeated to a common number, which leaves both means unchanged.
    The observed arrangement is counted among the `n` + 1.
    """
    compute = METRICS[metric]
    observed, permuted = [], []
    for fold_a, fold_b in zip(a, b, strict=True):
        runs = math.lcm(len(fold_a.scores), len(fold_b.scores))
        first, second = (
            np.tile(rankdata(f.scores, axis=1) if metric in RANK_METRICS else f.scores, (runs // len(f.scores), 1))
            for f in (fold_a, fold_b)
        )
        rng = np.random.default_rng([seed, fold_a.number])
        swap = rng.integers(0, 2, (n, int(fold_a.clusters.max()) + 1), dtype=np.int8)[:, fold_a.clusters] == 1
        unswapped = np.zeros((1, fold_a.labels.size), dtype=bool)
        for x, y in zip(first, second, strict=True):
            observed.append(_swapped(compute, fold_a.labels, x, y, unswapped)[0])
            permuted.append(_swapped(compute, fold_a.labels, x, y, swap))
    difference = float(_defined_mean(np.array(observed)))
    if math.isnan(difference):
        return math.nan
    null = _defined_mean(np.array(permuted))
    return float((1 + np.sum(np.abs(null) >= abs(difference) - 1e-12)) / (1 + n))


def holm(p_values: Iterable[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down procedure (Scand J Stat 6:65, 1979); NaN is left out.

    >>> holm([0.01, 0.04, float("nan"), 0.03])
    [0.03, 0.06, nan, 0.06]
    """
    values = list(p_values)
    order = sorted((i for i, p in enumerate(values) if not math.isnan(p)), key=lambda i: values[i])
    corrected, largest = list(values), 0.0
    for step, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * values[i]))
        corrected[i] = largest
    return corrected


def _note(name: str, folds: Sequence[Fold], estimate: Estimate) -> str:
    """Say in words what the numbers of a row leave out."""
    notes = []
    if name == "auprc":
        notes.append(f"prevalence {np.mean(np.concatenate([fold.labels for fold in folds])):.3f}")
    if estimate.undefined_folds:
        one_class = [fold.number for fold in folds if len(set(fold.labels.tolist())) == 1]
        reason = "one class only in the test set" if one_class else "all test items are called alike"
        some = (
            ""
            if len(estimate.undefined_folds) == len(folds)
            else f" in {len(estimate.undefined_folds)} of {len(folds)} folds"
        )
        notes.append(f"undefined{some}: {reason}")
    elif np.isnan(estimate.values).any():
        notes.append(f"{np.isnan(estimate.values).sum()} of {estimate.values.size} resamples undefined")
    return "; ".join(notes)


def summarise_variant(line: dict[str, Any], folds: Sequence[Fold], n: int, seed: int) -> list[dict[str, Any]]:
    """Return the summary rows of one line of the benchmark: every metric with its interval."""
    labels = np.concatenate([fold.labels for fold in folds])
    rows = []
    for name, metric in METRICS.items():
        estimate = group_bootstrap(folds, metric, n, seed)
        rows.append(
            {
                "task": line["task"],
                "split": line["split"],
                "arm": line["variant"],
                "init": line["init"],
                "k": str(line["k"] or ""),
                "metric": name,
                "mean": estimate.mean,
                "ci_low": math.nan if name in WITHOUT_INTERVAL else estimate.low,
                "ci_high": math.nan if name in WITHOUT_INTERVAL else estimate.high,
                "seeds": len(folds[0].scores),
                "n_test": labels.size,
                "n_positive": int(labels.sum()),
                "folds": len(folds),
                "note": _note(name, folds, estimate),
            }
        )
    return rows


def pairs_of(lines: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return which lines of the benchmark are compared, as indices (line, reference).

    Within a task and split, each line with its reference, and each pretrained model with the one of the same k that
    starts from random weights.
    """
    pairs: list[tuple[int, int]] = []
    for i, j in itertools.permutations(range(len(lines)), 2):
        line, other = lines[i], lines[j]
        if (line["task"], line["split"]) != (other["task"], other["split"]) or (j, i) in pairs:
            continue
        without_pretraining = line["init"] not in ("", "random") and other["init"] == "random"
        if other["variant"] == line["reference"] or (without_pretraining and line["k"] == other["k"]):
            pairs.append((i, j))
    return pairs


def compare_variants(
    lines: Sequence[dict[str, Any]],
    folds: Sequence[Sequence[Fold]],
    *,
    metric: str,
    n: int,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Return the comparison table: difference of the mean metric (arm - reference), interval, p-values.

    The resamples of the two lines of a pair are the same, so the interval is that of paired differences. The p-values
    are corrected over the table.

    Raises
    ------
    InputError
        If two arms of a pair were not tested on the same items.
    """
    pairs = pairs_of(lines)
    estimates = {i: group_bootstrap(folds[i], METRICS[metric], n, seed) for i in set(itertools.chain(*pairs))}
    rows = []
    for i, j in pairs:
        a, b = folds[i], folds[j]
        if [(f.number, f.ids) for f in a] != [(f.number, f.ids) for f in b]:
            raise InputError(
                f"task {lines[i]['task']}, split {lines[i]['split']}",
                f"the arms {lines[i]['variant']} and {lines[j]['variant']} were tested on different items",
                "run the predictions of both again",
            )
        low, high = interval(estimates[i].values - estimates[j].values)
        difference = estimates[i].mean - estimates[j].mean
        rows.append(
            {
                "task": lines[i]["task"],
                "split": lines[i]["split"],
                "arm": lines[i]["variant"],
                "reference": lines[j]["variant"],
                "metric": metric,
                "difference": difference,
                "ci_low": low,
                "ci_high": high,
                "p_value": paired_permutation(a, b, metric, permutations, seed),
                "n_test": sum(f.labels.size for f in a),
                "clusters": sum(int(f.clusters.max()) + 1 for f in a),
                "note": "undefined: one class only in every test set" if math.isnan(difference) else "",
            }
        )
    table = pd.DataFrame(rows, columns=[c for c in COMPARISON_COLUMNS if c != "p_holm"])
    return table.assign(p_holm=holm(table["p_value"]))[list(COMPARISON_COLUMNS)]


def with_published(summary: pd.DataFrame, published: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Set published values beside the rows they belong to; one that no row matches becomes a row of its own.

    An entry has task, split, arm, k (where the arm has one), metric, value and source.
    """
    keys = ["task", "split", "arm", "metric"]
    table = summary.assign(published=math.nan)
    for entry in published:
        source = f"published in {entry['source']}"
        row = {key: entry[key] for key in keys}
        if entry.get("k"):
            row |= {"arm": f"{entry['arm']}_k{entry['k']}", "k": str(entry["k"])}
        match = (table[keys] == [row[key] for key in keys]).all(axis=1)
        if match.any():
            table.loc[match, "published"] = entry["value"]
            table.loc[match, "note"] = [f"{note}; {source}".lstrip("; ") for note in table.loc[match, "note"]]
        else:
            row |= {"published": entry["value"], "note": f"{source}; not run here"}
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
    return table[list(SUMMARY_COLUMNS)]


def with_undefined(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the table with the given columns as text of nine digits, NaN as ``undefined``."""
    text = {c: ["undefined" if math.isnan(value) else f"{value:.9g}" for value in table[c]] for c in columns}
    return table.assign(**text)


def auroc_tables(summary: pd.DataFrame, task: str) -> dict[str, pd.DataFrame]:
    """Return of each split of `task` the AUROC rows, in one order of arms, with numbers as floats.

    `summary` is the benchmark's summary as text. An arm that a split lacks has a row of NaN.
    """
    rows = summary[(summary["task"] == task) & (summary["metric"] == "auroc")]
    if rows.empty:
        raise InputError("benchmark summary", f"no AUROC of task {task!r}", "run the benchmark of this task")
    numbers = {c: pd.to_numeric(rows[c], errors="coerce") for c in ("mean", "ci_low", "ci_high", "published")}
    rows = rows.assign(**numbers)
    arms = rows[["arm", "init", "k"]].drop_duplicates("arm").reset_index(drop=True)
    return {
        str(split): arms.merge(of_split[["arm", *numbers]], on="arm", how="left")
        for split, of_split in rows.groupby("split", sort=False)
    }
