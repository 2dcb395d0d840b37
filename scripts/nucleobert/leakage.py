"""What a split leaks, and what its classes give away: the audit of a dataset, and its card in plain words."""

import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from nucleobert.errors import InputError
from nucleobert.files import write_beside
from nucleobert.kmers import KmerTable, distinct_kmers
from nucleobert.sequences import reverse_complement
from nucleobert.splits import PARTS

logger = logging.getLogger(__name__)

K = 31
NEAR = 0.5
LONGEST = 510
DEFINITIONS = {
    "exact_duplicates": "items of a part whose sequence, or its reverse complement, stands in an earlier part too "
    "(dev: in train; test: in train or dev)",
    "near_duplicates": f"items of a part with at least {NEAR:.0%} of their distinct {K}-mers, on either strand, in "
    "earlier parts; exact duplicates count",
    "test_shared_kmer": f"test items with at least one {K}-mer that occurs in train or dev on the same strand",
    "test_shared_kmer_both_strands": f"the same, with a {K}-mer and its reverse complement as one",
    "gc": "share of G and C among A, C, G and T",
    "auroc": "of the feature alone on the test items; whether high or low speaks for label 1 is read off train and dev",
    "truncated": "items longer than max_length, of which models of that length read a part",
}
_LABELS = (("1", 1, "positive"), ("0", 0, "negative"))
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def composition_features(sequences: Sequence[str]) -> dict[str, Floats]:
    """Return GC content (of A, C, G, T; else 0), length (nt) and share of N by sequence, each of shape (n,).

    >>> {name: values.tolist() for name, values in composition_features(["GGAN"]).items()}
    {'gc': [0.6666666666666666], 'length': [4.0], 'n_share': [0.25]}
    """
    length = np.array([len(s) for s in sequences], dtype=np.float64)
    unknown = np.array([s.count("N") for s in sequences], dtype=np.float64)
    strong = np.array([s.count("G") + s.count("C") for s in sequences], dtype=np.float64)
    gc = strong / np.maximum(length - unknown, 1)
    return {"gc": gc, "length": length, "n_share": unknown / np.maximum(length, 1)}


def shared_words(table: KmerTable, seen: Mask) -> Mask:
    """Return which sequences share a word with a `seen` one (shape (sequences,)), shape (sequences,)."""
    return table.count(table.held_by(seen)) > 0


def _by_label(values: Mask, labels: NDArray[np.int8]) -> dict[str, int]:
    return {key: int(values[labels == label].sum()) for key, label, _ in _LABELS}


def _shared(table: KmerTable, seen: Mask, test: Mask, labels: NDArray[np.int8]) -> dict[str, Any]:
    shared = shared_words(table, seen)
    found: dict[str, Any] = {"k": K}
    for key, label, _ in _LABELS:
        chosen = test & (labels == label)
        n, hits = int(chosen.sum()), int(shared[chosen].sum())
        found[key] = {"n": n, "shared": hits, "share": hits / n if n else None}
    return found


def _duplicates(
    parts: NDArray[Any], holds: Sequence[Mask], same: NDArray[np.int64], table: KmerTable
) -> dict[str, Any]:
    """Count the items of dev and test that stand, exactly or nearly, in earlier parts; `holds` has one mask a part."""
    sizes = np.maximum(table.sizes(), 1)
    exact, near = {}, {}
    for part, earlier in (("dev", holds[0]), ("test", holds[0] | holds[1])):
        chosen = parts == part
        copied = np.isin(same, same[earlier])
        close = copied | (table.count(table.held_by(earlier)) >= NEAR * sizes)
        exact[part], near[part] = int(copied[chosen].sum()), int(close[chosen].sum())
    return {"exact_duplicates": exact, "near_duplicates": near}


def _summary(values: Floats) -> dict[str, float] | None:
    if not len(values):
        return None
    quantiles = np.quantile(values, _QUANTILES)
    return {"mean": float(values.mean())} | {
        f"q{100 * q:02.0f}": float(value) for q, value in zip(_QUANTILES, quantiles, strict=True)
    }


def _feature_auroc(values: Floats, labels: NDArray[np.int8], seen: Mask, test: Mask) -> float | None:
    """Return the AUROC of a feature on the test items, its direction taken from the seen ones; None with one class."""
    if len(np.unique(labels[test])) < 2 or len(np.unique(labels[seen])) < 2:
        return None
    higher = values[seen & (labels == 1)].mean() >= values[seen & (labels == 0)].mean()
    return float(roc_auc_score(labels[test], values[test] if higher else -values[test]))


def audit_split(
    items: pd.DataFrame, split: pd.DataFrame, *, task: str, name: str, max_length: int = LONGEST
) -> dict[str, Any]:
    """Measure what a split leaks and what its classes give away, fold by fold.

    Parameters
    ----------
    items, split
        As `nucleobert.splits.read_items` and `read_split` return them.
    task, name
        Names of the task and the split.
    max_length
        Length (nt) beyond which items count as truncated.

    Returns
    -------
    dict
        ``definitions`` of the measures, ``natural`` (items by label), ``folds`` (one entry a fold) and ``statements``
        (sentences over all folds, each with its numbers).

    Raises
    ------
    InputError
        If the split names an item that does not exist.
    """
    natural = items["label"]
    items = items[items["id"].isin(split["id"])].reset_index(drop=True)
    sequences, labels = items["sequence"].tolist(), items["label"].to_numpy(np.int8)
    rows = pd.Index(items["id"]).get_indexer(pd.Index(split["id"]))
    if (rows < 0).any():
        unknown = split["id"].iloc[int(np.argmin(rows))]
        raise InputError(f"split {name}, item {unknown!r}", "not among the items", "split the dataset again")
    one_strand, both_strands = (distinct_kmers(sequences, K, both_strands=both) for both in (False, True))
    same = pd.factorize(pd.Series([min(s, reverse_complement(s)) for s in sequences]))[0]
    features = composition_features(sequences)
    folds = []
    for fold, of_fold in split.assign(row=rows).groupby("fold", sort=True):
        parts = np.full(len(items), "", dtype="<U5")
        parts[of_fold["row"]] = of_fold["part"]
        holds = [parts == part for part in PARTS]
        used, seen, test = parts != "", holds[0] | holds[1], holds[2]
        folds.append(
            {
                "fold": int(str(fold)),
                "n": {part: _by_label(mask, labels) for part, mask in zip(PARTS, holds, strict=True)},
                "clusters": {part: int(of_fold.loc[of_fold["part"] == part, "cluster"].nunique()) for part in PARTS},
                **_duplicates(parts, holds, same, both_strands),
                "test_shared_kmer": _shared(one_strand, seen, test, labels),
                "test_shared_kmer_both_strands": _shared(both_strands, seen, test, labels),
                **{
                    feature: {key: _summary(values[used & (labels == label)]) for key, label, _ in _LABELS}
                    for feature, values in features.items()
                },
                "auroc": {
                    feature: _feature_auroc(features[feature], labels, seen, test) for feature in ("gc", "length")
                },
                "with_n": _by_label(used & (features["n_share"] > 0), labels),
                "truncated": _by_label(used & (features["length"] > max_length), labels),
            }
        )
    audit = {
        "task": task,
        "split": name,
        "kmer": K,
        "max_length": max_length,
        "definitions": DEFINITIONS,
        "natural": {key: int((natural == label).sum()) for key, label, _ in _LABELS},
        "folds": folds,
    }
    return audit | {"statements": _statements(audit)}


def _statements(audit: dict[str, Any]) -> list[dict[str, Any]]:
    """Say the audit in sentences, summed over the folds; each sentence comes with its numbers."""
    folds = audit["folds"]
    statements: list[dict[str, Any]] = []
    for measure, where in (("test_shared_kmer", ""), ("test_shared_kmer_both_strands", ", on either strand,")):
        for key, _, word in _LABELS:
            count, total = (sum(fold[measure][key][of] for fold in folds) for of in ("shared", "n"))
            statements.append(
                {"name": measure, "label": int(key), "count": count, "total": total}
                | {"text": f"{count} of {total} {word} test windows share a {K}-mer{where} with training."}
            )
    tested = sum(sum(fold["n"]["test"].values()) for fold in folds)
    for measure, what in (
        ("exact_duplicates", "are exact copies of"),
        ("near_duplicates", f"share half of their {K}-mers or more with"),
    ):
        count = sum(fold[measure]["test"] for fold in folds)
        statements.append(
            {"name": measure, "count": count, "total": tested}
            | {"text": f"{count} of {tested} test windows {what} windows in training."}
        )
    for feature, word in (("gc", "GC content"), ("length", "Length")):
        values = [fold["auroc"][feature] for fold in folds if fold["auroc"][feature] is not None]
        if values:
            mean = float(np.mean(values))
            over = f" (mean of {len(values)} folds)" if len(values) > 1 else ""
            text = f"{word} alone tells the labels of the test windows apart with an AUROC of {mean:.3f}{over}."
            statements.append({"name": f"auroc_{feature}", "value": mean, "folds": len(values), "text": text})
    used = sum(sum(of_part.values()) for of_part in folds[0]["n"].values())
    for measure, what in (
        ("truncated", f"are longer than {audit['max_length']} nt and are cut for models of that length"),
        ("with_n", "hold an N"),
    ):
        count, total = sum(folds[0][measure].values()), used
        statements.append(
            {"name": measure, "count": count, "total": total, "text": f"{count} of {total} windows {what}."}
        )
    return statements


def check_leak(audit: dict[str, Any], most: float | None, place: str) -> None:
    """Stop if in any fold more than the share `most` of the test items has a 31-mer, on either strand, in train or dev.

    Raises
    ------
    InputError
        Says the fold, the numbers and what to do. None as `most` lets every split pass.
    """
    for fold in audit["folds"]:
        counts = [fold["test_shared_kmer_both_strands"][key] for key, _, _ in _LABELS]
        shared, n = sum(c["shared"] for c in counts), sum(c["n"] for c in counts)
        if most is not None and n and shared > most * n:
            raise InputError(
                f"{place}, fold {fold['fold']}",
                f"{shared} of {n} test items share a {K}-mer with train and dev ({shared / n:.3f} > {most:g})",
                f"use scheme grouped with kmer <= {K}, or raise or remove max_shared_kmer_share of this split",
            )


# The card


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def _of_label(fold: dict[str, Any], feature: str, key: str, digits: int) -> str:
    found = fold[feature][key]
    return f"{found['mean']:.{digits}f} ({found['q05']:.{digits}f}–{found['q95']:.{digits}f})" if found else "–"


def card_of(audit: dict[str, Any], origin: dict[str, Any], title: str) -> str:
    """Return the data card of a split in Markdown: what it is, where it is from, its sizes, what it leaks.

    Parameters
    ----------
    audit
        As `audit_split` returns it.
    origin
        As `nucleobert.datasets.read_origin` returns it.
    title
        The task in words.
    """
    natural = audit["natural"]
    lines = [f"# {title}: split {audit['split']}", ""]
    lines.append(
        f"{natural['0'] + natural['1']} windows before balancing: {natural['1']} positive, {natural['0']} negative."
    )
    if origin:
        lines.append(f"Made from {', '.join(origin['files'])}.")
        lines += [f"Rule: {origin['rule']}."] if "rule" in origin else []
        counted = "; ".join(f"{name}: {count}" for name, count in origin["counts"].items())
        lines += [f"Counts: {counted}."] if counted else []
    sizes = [
        [fold["fold"], part, fold["n"][part]["1"], fold["n"][part]["0"], fold["clusters"][part]]
        for fold in audit["folds"]
        for part in PARTS
    ]
    lines += ["", "## Parts", "", *_table(("fold", "part", "positive", "negative", "clusters"), sizes)]
    lines += ["", "## What it leaks", "", *(f"- {statement['text']}" for statement in audit["statements"])]
    first = audit["folds"][0]
    rows = [
        (name, _of_label(first, feature, "1", digits), _of_label(first, feature, "0", digits))
        for feature, name, digits in (("gc", "GC", 3), ("length", "length, nt", 0), ("n_share", "share of N", 4))
    ]
    lines += ["", "## Composition", "", f"Mean and 5–95 % range by label, fold {first['fold']}.", ""]
    lines += _table(("", "positive", "negative"), rows)
    return "\n".join(lines) + "\n"


def write_card(path: str | os.PathLike[str], card: str) -> None:
    """Write a data card."""
    with write_beside(path) as beside:
        beside.write_text(card, encoding="utf-8")
