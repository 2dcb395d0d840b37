"""Arms without a neural network: what class frequencies, memory, composition and short words alone achieve.

========================  =========================================================  ==================
architecture              score                                                      fitted on
========================  =========================================================  ==================
``prior``                 share of positives                                         train and dev
``lookup``                votes of long words seen in positives and in negatives     train and dev
``composition``           logistic regression on GC content, length and the like     train and dev
``kmer_logistic``         logistic regression on frequencies of short words          train; dev chooses
========================  =========================================================  ==================

The first three have nothing to choose on a dev part, so they learn from it too. A fitted arm is a folder with
``arm.json`` and ``weights.npz``.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from nucleobert.errors import InputError
from nucleobert.files import read_json, write_json
from nucleobert.kmers import distinct_kmers, kmer_numbers
from nucleobert.leakage import composition_features

DEFAULTS: dict[str, dict[str, Any]] = {
    "prior": {},
    "lookup": {"kmer": 31},
    "composition": {"features": ["gc"]},
    "kmer_logistic": {"kmers": [1, 2, 3, 4, 5, 6]},
}
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)

_WORDS = {"mononucleotides": 1, "dinucleotides": 2}
_ITERATIONS = 2000

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]


def kmer_frequencies(sequences: Sequence[str], k: int) -> csr_matrix:
    """Return the share of each k-mer (in the order A, C, G, T) among a sequence's k-mers without N.

    Returns
    -------
    csr_matrix
        Shape (sequences, 4**k); rows sum to 1, or 0 where a sequence has no k-mer.

    >>> kmer_frequencies(["AACN"], 1).toarray().round(2).tolist()
    [[0.67, 0.33, 0.0, 0.0]]
    """
    numbers, owners = kmer_numbers(sequences, k, both_strands=False)
    cells, counts = np.unique(owners.astype(np.int64) * 4**k + numbers.astype(np.int64), return_counts=True)
    rows, columns = np.divmod(cells, 4**k)
    totals = np.bincount(owners, minlength=len(sequences))
    return csr_matrix((counts / totals[rows], (rows, columns)), shape=(len(sequences), 4**k))


def _scale_of(matrix: csr_matrix) -> Floats:
    """Return each column's standard deviation, 1 where it is 0."""
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    square = np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel()
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.where(deviation > 1e-12, deviation, 1.0)


def _logistic(matrix: Any, labels: NDArray[np.int8], penalty: float) -> tuple[Floats, float]:
    model = LogisticRegression(C=penalty, max_iter=_ITERATIONS).fit(matrix, labels)
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def _table_of(sequences: Sequence[str], features: Sequence[str]) -> csr_matrix:
    """Return the features named in the config side by side, shape (sequences, columns)."""
    simple = composition_features(sequences)
    columns = [
        kmer_frequencies(sequences, _WORDS[name]) if name in _WORDS else csr_matrix(simple[name][:, None])
        for name in features
    ]
    return hstack(columns, format="csr")


# One pair of functions per architecture: _fit_<name>(settings, train, dev) -> arrays and notes; _score_<name>


def _both(train: pd.DataFrame, dev: pd.DataFrame) -> tuple[list[str], NDArray[np.int8]]:
    table = pd.concat([train, dev])
    return table["sequence"].tolist(), table["label"].to_numpy(np.int8)


def _fit_prior(settings: dict[str, Any], train: pd.DataFrame, dev: pd.DataFrame) -> tuple[Arrays, dict[str, Any]]:
    labels = _both(train, dev)[1]
    return {"share": np.array(labels.mean())}, {"fitted_on": "train and dev"}


def _score_prior(settings: dict[str, Any], weights: Arrays, sequences: Sequence[str]) -> Floats:
    return np.full(len(sequences), float(weights["share"]))


def _fit_lookup(settings: dict[str, Any], train: pd.DataFrame, dev: pd.DataFrame) -> tuple[Arrays, dict[str, Any]]:
    sequences, labels = _both(train, dev)
    table = distinct_kmers(sequences, settings["kmer"], both_strands=False)
    votes = table.held_by(labels == 1).astype(np.int8) - table.held_by(labels == 0).astype(np.int8)
    return {"words": table.numbers[votes != 0], "votes": votes[votes != 0]}, {"fitted_on": "train and dev"}


def _score_lookup(settings: dict[str, Any], weights: Arrays, sequences: Sequence[str]) -> Floats:
    """Return 0.5 + v / (2 + 2 |v|), v being the distinct words seen in positives minus those seen in negatives."""
    table = distinct_kmers(sequences, settings["kmer"], both_strands=False)
    votes = np.zeros(len(table.numbers))
    _, here, there = np.intersect1d(table.numbers, weights["words"], assume_unique=True, return_indices=True)
    votes[here] = weights["votes"][there]
    total = np.bincount(table.owners, weights=votes[table.words], minlength=len(sequences))
    return 0.5 + total / (2 + 2 * np.abs(total))


def _fit_composition(settings: dict[str, Any], train: pd.DataFrame, dev: pd.DataFrame) -> tuple[Arrays, dict[str, Any]]:
    sequences, labels = _both(train, dev)
    table = _table_of(sequences, settings["features"]).toarray()
    mean, scale = table.mean(axis=0), _scale_of(csr_matrix(table - table.mean(axis=0)))
    weights, intercept = _logistic((table - mean) / scale, labels, 1.0)
    return {"weights": weights / scale, "intercept": np.array(intercept - mean @ (weights / scale))}, {
        "fitted_on": "train and dev"
    }


def _score_composition(settings: dict[str, Any], weights: Arrays, sequences: Sequence[str]) -> Floats:
    return expit(_table_of(sequences, settings["features"]) @ weights["weights"] + weights["intercept"])


def _words_of(sequences: Sequence[str], kmers: Sequence[int]) -> csr_matrix:
    return hstack([kmer_frequencies(sequences, k) for k in kmers], format="csr")


def _fit_kmer_logistic(
    settings: dict[str, Any], train: pd.DataFrame, dev: pd.DataFrame
) -> tuple[Arrays, dict[str, Any]]:
    table = _words_of(train["sequence"].tolist(), settings["kmers"])
    tried = _words_of(dev["sequence"].tolist(), settings["kmers"])
    scale = _scale_of(table)
    scaled = table.multiply(1 / scale).tocsr()
    found: list[tuple[float, float, Floats, float]] = []
    for penalty in PENALTIES:
        weights, intercept = _logistic(scaled, train["label"].to_numpy(np.int8), penalty)
        dev_auroc = float(roc_auc_score(dev["label"], tried @ (weights / scale)))
        found.append((dev_auroc, penalty, weights / scale, intercept))
    dev_auroc, penalty, weights, intercept = max(found, key=lambda entry: entry[0])
    notes = {
        "fitted_on": "train",
        "dev_auroc": {f"{c:g}": score for score, c, _, _ in found},
        "chosen_c": penalty,
    }
    return {"weights": weights, "intercept": np.array(intercept)}, notes


def _score_kmer_logistic(settings: dict[str, Any], weights: Arrays, sequences: Sequence[str]) -> Floats:
    return expit(_words_of(sequences, settings["kmers"]) @ weights["weights"] + weights["intercept"])


_FIT = {
    "prior": _fit_prior,
    "lookup": _fit_lookup,
    "composition": _fit_composition,
    "kmer_logistic": _fit_kmer_logistic,
}
_SCORE = {
    "prior": _score_prior,
    "lookup": _score_lookup,
    "composition": _score_composition,
    "kmer_logistic": _score_kmer_logistic,
}


def fit(
    arm: dict[str, Any], train: pd.DataFrame, dev: pd.DataFrame, *, seed: int, folder: str | os.PathLike[str]
) -> dict[str, Any]:
    """Fit a simple arm and save it as `folder`.

    Parameters
    ----------
    arm
        ``architecture``, one of `DEFAULTS`, and its settings: ``kmer`` (lookup, 1-31), ``features`` (composition: gc,
        length, n_share, mononucleotides, dinucleotides), ``kmers`` (kmer_logistic).
    train, dev
        Items with the columns sequence (A, C, G, T, N) and label (0, 1).
    seed
        Recorded; no chance has a part in these arms.
    folder
        Made here; gets arm.json and weights.npz.

    Returns
    -------
    dict
        For run.json: items, fitted_on, sequences_per_second, and for kmer_logistic the AUROC on dev by C.

    Raises
    ------
    InputError
        If the architecture is none of these, or train or dev has one class only.
    """
    name = arm["architecture"]
    if name not in _FIT:
        raise InputError("config: architecture", f"{name!r} is no simple arm", f"allowed: {', '.join(_FIT)}")
    for part, table in (("train", train), ("dev", dev)):
        if table["label"].nunique() < 2:
            raise InputError(f"{part} items", "one class only", "use another split or fewer folds")
    settings = DEFAULTS[name] | {key: value for key, value in arm.items() if key != "architecture"}
    start = time.perf_counter()
    weights, notes = _FIT[name](settings, train, dev)
    seconds = time.perf_counter() - start
    folder = Path(folder)
    folder.mkdir(parents=True)
    np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]
    write_json(folder / "arm.json", {"architecture": name, "seed": seed} | settings)
    read = len(train) + (len(dev) if notes["fitted_on"] == "train and dev" else 0)
    items = {
        part: {"n": len(table), "positive": int((table["label"] == 1).sum())}
        for part, table in (("train", train), ("dev", dev))
    }
    return {"items": items, "sequences_per_second": round(read / seconds, 1), **notes}


def predict(folder: str | os.PathLike[str], sequences: Sequence[str]) -> Floats:
    """Return the score of each sequence by the arm saved in `folder`: in (0, 1), above 0.5 for label 1, shape (n,).

    The scores of ``lookup`` rank and decide, but are no probabilities.
    """
    arm = read_json(Path(folder, "arm.json"))
    with np.load(Path(folder, "weights.npz")) as saved:
        weights = dict(saved)
    return _SCORE[arm["architecture"]](arm, weights, sequences)
