"""Group bootstrap, paired permutation, corrections and the benchmark's tables."""

import doctest
import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from nucleobert import statistics
from nucleobert.errors import InputError
from nucleobert.metrics import METRICS, accuracy, auroc
from nucleobert.statistics import (
    Fold,
    group_bootstrap,
    holm,
    interval,
    paired_permutation,
    pairs_of,
    resample,
    with_published,
)
from summarise_benchmark import main as summarise_benchmark


def a_fold(number=0, n=60, seeds=2, per_cluster=3, signal=1.0, rng_seed=0, noise_seed=1):
    rng = np.random.default_rng([rng_seed, number])
    clusters = np.repeat(np.arange(n // per_cluster), per_cluster)
    labels = np.repeat(rng.integers(0, 2, n // per_cluster), per_cluster).astype(np.int8)
    noise = np.random.default_rng([noise_seed, number]).normal(size=(seeds, n))
    scores = 1 / (1 + np.exp(-(signal * (labels - 0.5) * 2 + noise)))
    return Fold(number, tuple(f"item{i}" for i in range(n)), labels, clusters, scores)


def test_doctests():
    assert doctest.testmod(statistics).failed == 0
    assert doctest.testmod(statistics).attempted > 0


def test_resampling_keeps_clusters_together_and_their_number():
    clusters = np.array([0, 0, 1, 2, 2, 2])
    weights = resample(clusters, 500, np.random.default_rng(1))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert weights.mean() == pytest.approx(1, abs=0.1)


def test_bootstrap_equals_a_slow_direct_one():
    folds = [a_fold(0), a_fold(1, n=45)]
    estimate = group_bootstrap(folds, auroc, n=20, seed=7)
    assert estimate.mean == pytest.approx(
        np.mean([np.mean([roc_auc_score(f.labels, s) for s in f.scores]) for f in folds])
    )
    for b in range(20):
        means = []
        for fold in folds:
            weights = resample(fold.clusters, 20, np.random.default_rng([7, fold.number]))[b].astype(int)
            rows = np.repeat(np.arange(len(fold.labels)), weights)
            means.append(np.mean([roc_auc_score(fold.labels[rows], s[rows]) for s in fold.scores]))
        assert estimate.values[b] == pytest.approx(np.mean(means))
    assert estimate.low < estimate.mean < estimate.high


def test_blocks_do_not_change_the_result(monkeypatch):
    folds = [a_fold()]
    whole = group_bootstrap(folds, auroc, n=30, seed=1).values
    other = [a_fold(signal=0.2, noise_seed=5)]
    p_value = paired_permutation(folds, other, "auroc", 50, seed=1)
    monkeypatch.setattr(statistics, "_BLOCK", 120)
    np.testing.assert_array_equal(group_bootstrap(folds, auroc, n=30, seed=1).values, whole)
    assert paired_permutation(folds, other, "auroc", 50, seed=1) == p_value


def test_interval_widens_when_items_come_in_clusters():
    clustered = a_fold(n=120, per_cluster=12, seeds=1)
    single = Fold(0, clustered.ids, clustered.labels, np.arange(120), clustered.scores)
    widths = [e.high - e.low for e in (group_bootstrap([f], accuracy, 400, 1) for f in (clustered, single))]
    assert widths[0] != widths[1]
    copies = Fold(0, clustered.ids, clustered.labels, clustered.clusters, np.repeat(clustered.scores[:, ::12], 12, 1))
    as_if_independent = Fold(0, copies.ids, copies.labels, np.arange(120), copies.scores)
    wide, narrow = (group_bootstrap([f], accuracy, 400, 1) for f in (copies, as_if_independent))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_a_fold_of_one_class_is_left_out_and_named():
    one_class = a_fold(1)
    one_class = Fold(1, one_class.ids, np.ones_like(one_class.labels), one_class.clusters, one_class.scores)
    estimate = group_bootstrap([a_fold(0), one_class], auroc, 20, 1)
    assert estimate.undefined_folds == (1,)
    assert estimate.mean == group_bootstrap([a_fold(0)], auroc, 20, 1).mean
    alone = group_bootstrap([one_class], auroc, 20, 1)
    assert math.isnan(alone.mean)
    assert math.isnan(alone.low)


def test_permutation_equals_all_arrangements():
    a, b = a_fold(n=24, signal=1.0, seeds=1), a_fold(n=24, signal=0.5, seeds=1, noise_seed=9)
    x, y, labels = a.scores[0], b.scores[0], a.labels
    observed = abs(accuracy(labels, x)[0] - accuracy(labels, y)[0])
    extreme = []
    for flips in itertools.product([False, True], repeat=8):
        swap = np.array(flips)[a.clusters]
        d = accuracy(labels, np.where(swap, y, x))[0] - accuracy(labels, np.where(swap, x, y))[0]
        extreme.append(abs(d) >= observed - 1e-12)
    assert 0.01 < np.mean(extreme) < 0.9
    assert paired_permutation([a], [b], "accuracy", 4000, seed=3) == pytest.approx(np.mean(extreme), abs=0.03)


def test_permutation_sees_ranks_only_and_repeats_seeds():
    a, b = a_fold(signal=1.5, seeds=2), a_fold(signal=0.3, seeds=3, noise_seed=4)
    squeezed = Fold(b.number, b.ids, b.labels, b.clusters, 0.4 + b.scores / 100)
    assert paired_permutation([a], [b], "auroc", 200, 1) == paired_permutation([a], [squeezed], "auroc", 200, 1)
    assert paired_permutation([a], [a], "auroc", 200, 1) == 1.0
    assert paired_permutation([a], [b], "auroc", 200, 1) < 0.1
    one = Fold(a.number, a.ids, a.labels, a.clusters, a.scores[:1])
    twice = Fold(a.number, a.ids, a.labels, a.clusters, a.scores[[0, 0]])
    pair = Fold(b.number, b.ids, b.labels, b.clusters, b.scores[:2])
    assert paired_permutation([one], [pair], "auroc", 200, 1) == paired_permutation([twice], [pair], "auroc", 200, 1)


def test_p_values_under_the_null_are_not_small():
    p_values = [
        paired_permutation([a_fold(noise_seed=10 + i)], [a_fold(noise_seed=100 + i)], "auroc", 99, seed=i)
        for i in range(60)
    ]
    assert np.mean(np.array(p_values) <= 0.2) < 0.4
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.15)


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.5]) == [0.08, 0.03, 0.5]
    assert holm([]) == []


def test_interval_ignores_undefined_resamples():
    low, high = interval(np.array([np.nan, 0.0, 1.0, 0.5]))
    assert 0 <= low < high <= 1
    assert all(map(math.isnan, interval(np.array([np.nan]))))


def a_line(variant, init="", k=None, split="grouped", reference="bert_pre_k3"):
    return {"task": "task", "split": split, "variant": variant, "init": init, "k": k, "reference": reference}


def test_pairs():
    lines = [
        a_line("kmer_logistic"),
        a_line("bert_random_k3", "random", 3),
        a_line("bert_random_k6", "random", 6),
        a_line("bert_pre_k3", "corpus", 3),
        a_line("bert_pre_k6", "corpus", 6),
        a_line("kmer_logistic", split="published"),
    ]
    assert pairs_of(lines) == [(0, 3), (1, 3), (2, 3), (4, 2), (4, 3)]


def test_published_values_stand_beside_or_alone():
    summary = pd.DataFrame({"task": ["t"], "split": ["s"], "arm": ["a_k3"], "metric": ["auroc"], "note": [""]})
    summary = summary.reindex(columns=[c for c in statistics.SUMMARY_COLUMNS if c != "published"])
    entries = [
        {"task": "t", "split": "s", "arm": arm, "k": k, "metric": "auroc", "value": value, "source": "a paper"}
        for arm, k, value in (("a", 3, 0.8), ("b", None, 0.9))
    ]
    table = with_published(summary.assign(note=""), entries)
    assert table["published"].tolist() == [0.8, 0.9]
    assert table["note"].tolist() == ["published in a paper", "published in a paper; not run here"]


@pytest.fixture
def benchmark(tmp_path):
    """Two arms with predictions on one split of two folds; the second fold's test set has one class only."""
    folder = tmp_path / "task" / "grouped"
    folder.mkdir(parents=True)
    folds = [a_fold(0), a_fold(1, n=30)]
    split = pd.concat(
        [
            pd.DataFrame({"id": f.ids, "fold": f.number, "part": "test", "cluster": [f"c{c}" for c in f.clusters]})
            for f in folds
        ]
    )
    split.to_csv(folder / "split.tsv", sep="\t", index=False)
    answers = tmp_path / "predictions" / "task" / "grouped"
    answers.mkdir(parents=True)
    for arm, noise in (("bert_pre_k3", 1), ("kmer_logistic", 2)):
        tables = []
        for number, n in ((0, 60), (1, 30)):
            f = a_fold(number, n=n, noise_seed=noise)
            labels = f.labels if number == 0 else np.ones_like(f.labels)
            tables += [
                pd.DataFrame({"fold": number, "seed": s, "id": f.ids, "label": labels, "score": f.scores[s]})
                for s in range(2)
            ]
        pd.concat(tables).to_csv(answers / f"{arm}.tsv", sep="\t", index=False, float_format="%.9g")
    return {
        "predictions": [str(answers)],
        "splits": [str(folder / "split.tsv")],
        "lines": [a_line("bert_pre_k3", "corpus", 3), a_line("kmer_logistic")],
        "published": [
            {"task": "task", "split": "grouped", "arm": "theirs", "metric": "auroc", "value": 0.9, "source": "X 2024"}
        ],
        "bootstrap": 100,
        "seed": 1,
    }


def test_script_writes_both_tables_the_same_each_time(tmp_path, benchmark):
    for run in ("a", "b"):
        summarise_benchmark(
            **benchmark, summary=str(tmp_path / run / "s.tsv"), comparisons=str(tmp_path / run / "c.tsv")
        )
    for name in ("s.tsv", "c.tsv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    table = pd.read_csv(tmp_path / "a" / "s.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert list(table.columns) == list(statistics.SUMMARY_COLUMNS)
    assert len(table) == 2 * len(METRICS) + 1
    row = table[(table["arm"] == "bert_pre_k3") & (table["metric"] == "auroc")].iloc[0]
    assert (row["k"], row["seeds"], row["n_test"], row["folds"]) == ("3", "2", "90", "2")
    assert row["note"] == "undefined in 1 of 2 folds: one class only in the test set"
    assert float(row["ci_low"]) < float(row["mean"]) < float(row["ci_high"])
    calibration = table[table["metric"] == "ece"]
    assert (calibration["ci_low"] == "undefined").all()
    assert pd.to_numeric(calibration["mean"]).between(0, 1).all()
    theirs = table[table["arm"] == "theirs"].iloc[0]
    assert (theirs["mean"], theirs["published"]) == ("", "0.9")
    assert "prevalence" in table[(table["arm"] == "kmer_logistic") & (table["metric"] == "auprc")].iloc[0]["note"]
    differences = pd.read_csv(tmp_path / "a" / "c.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert list(differences.columns) == list(statistics.COMPARISON_COLUMNS)
    assert differences[["arm", "reference"]].values.tolist() == [["kmer_logistic", "bert_pre_k3"]]


def test_script_prints_undefined(tmp_path, benchmark):
    for path in Path(benchmark["predictions"][0]).iterdir():
        table = pd.read_csv(path, sep="\t")
        table.assign(label=1).to_csv(path, sep="\t", index=False)
    summarise_benchmark(**benchmark, summary=str(tmp_path / "s.tsv"), comparisons=str(tmp_path / "c.tsv"))
    table = pd.read_csv(tmp_path / "s.tsv", sep="\t", dtype=str, keep_default_na=False)
    row = table[table["metric"] == "auroc"].iloc[0]
    assert row[["mean", "ci_low", "ci_high"]].tolist() == ["undefined"] * 3
    assert "one class only" in row["note"]
    differences = pd.read_csv(tmp_path / "c.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert differences.loc[0, ["difference", "p_value", "p_holm"]].tolist() == ["undefined"] * 3


def test_a_missing_test_item_is_refused(tmp_path, benchmark):
    path = Path(benchmark["predictions"][0], "bert_pre_k3.tsv")
    table = pd.read_csv(path, sep="\t")
    table[table["id"] != "item3"].to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match=r"bert_pre_k3\.tsv, fold 0: the items are not the test items"):
        summarise_benchmark(**benchmark, summary=str(tmp_path / "s.tsv"), comparisons=str(tmp_path / "c.tsv"))
    assert not (tmp_path / "s.tsv").exists()


def test_a_score_outside_its_range_is_refused(tmp_path, benchmark):
    path = Path(benchmark["predictions"][0], "kmer_logistic.tsv")
    table = pd.read_csv(path, sep="\t")
    table.assign(score=table["score"] * 3).to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match="outside 0-1"):
        summarise_benchmark(**benchmark, summary=str(tmp_path / "s.tsv"), comparisons=str(tmp_path / "c.tsv"))
