"""Splits: clusters by hand and by a slow search, whole clusters per part, balance, determinism."""

import itertools
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import split_dataset
from nucleobert import splits
from nucleobert.errors import InputError
from nucleobert.sequences import reverse_complement

needs_mmseqs = pytest.mark.skipif(shutil.which("mmseqs") is None, reason="MMseqs2 is not installed")


def letters(rng, length: int) -> str:
    return "".join(rng.choice(list("ACGT"), length))


def table(sequences, labels=None, **columns) -> pd.DataFrame:
    n = len(sequences)
    base = {"id": [f"i{i}" for i in range(n)], "sequence": sequences, "label": labels or [i % 2 for i in range(n)]}
    rest = {"group": "", "chrom": "", "start": -1, "end": -1, "site": -1}
    return pd.DataFrame(base | rest | columns).astype({"label": "int8"})


@pytest.fixture
def items() -> pd.DataFrame:
    """90 items of 60 nt; 3 negatives a positive; every third pair of neighbours shares its last 40 nt."""
    rng = np.random.default_rng(5)
    sequences = [letters(rng, 60) for _ in range(90)]
    for i in range(0, 90, 6):
        sequences[i + 1] = sequences[i + 1][:20] + sequences[i][20:]
    return table(sequences, [int(i % 4 == 0) for i in range(90)])


def test_clusters_worked_by_hand():
    rng = np.random.default_rng(1)
    a, b, c, d = (letters(rng, 50) for _ in range(4))
    sequences = [a, a[:31] + b[:19], reverse_complement(b[:31]) + c[:19], c, d, d[:30] + "N" * 20, *"ACG"]
    found = splits.cluster_items(
        table(
            sequences,
            group=["", "", "", "", "", "", "g", "", "g"],
            chrom=["", "", "", "chr1", "chr1", "chr2", "", "", ""],
            start=[-1, -1, -1, 100, 149, 100, -1, -1, -1],
            end=[-1, -1, -1, 150, 199, 150, -1, -1, -1],
        )
    )
    # 0 and 1 share a[:31]; 1 and 2 but 19 nt; 3 and 4 overlap by one base; 4 and 5 share but 30 nt; 6 and 8 a gene.
    assert found.tolist() == [0, 0, 1, 2, 2, 3, 4, 5, 4]
    apart = splits.cluster_items(
        table(sequences, chrom="chr1", start=list(range(0, 90, 10)), end=list(range(10, 100, 10)))
    )
    assert apart.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]


def test_the_reverse_strand_joins():
    rng = np.random.default_rng(2)
    a = letters(rng, 40)
    assert splits.cluster_items(table([a, "A" + reverse_complement(a)])).tolist() == [0, 0]


def test_a_contained_interval_does_not_cut_the_chain():
    found = splits.cluster_items(table(["A", "A", "A"], chrom="chr1", start=[0, 10, 90], end=[100, 20, 120]))
    assert found.tolist() == [0, 0, 0]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("AC", max_size=9), st.sampled_from(["", "g", "h"]), st.integers(0, 30)),
        min_size=1,
        max_size=9,
    )
)
def test_clusters_equal_a_slow_search(rows):
    sequences, groups, starts = zip(*rows, strict=True)
    ends = [start + 4 for start in starts]
    found = splits.cluster_items(
        table(list(sequences), group=list(groups), chrom="chr1", start=list(starts), end=ends), kmer=5
    )
    words = [
        {w for i in range(len(s) - 4) for w in (s[i : i + 5], reverse_complement(s[i : i + 5]))} for s in sequences
    ]
    cluster = list(range(len(rows)))
    for i, j in itertools.product(range(len(rows)), repeat=2):
        near = abs(starts[i] - starts[j]) < 4
        if words[i] & words[j] or near or (groups[i] and groups[i] == groups[j]):
            cluster = [cluster[j] if c == cluster[i] else c for c in cluster]
    assert found.tolist() == pd.factorize(np.array(cluster))[0].tolist()


@needs_mmseqs
def test_mmseqs_joins_near_duplicates_on_both_strands():
    rng = np.random.default_rng(3)
    a, b = letters(rng, 300), letters(rng, 300)
    places = set(range(0, 300, 60)) | set(range(29, 300, 25))
    changed = "".join("ACGT"[("ACGT".index(c) + 1) % 4] if i in places else c for i, c in enumerate(a))
    sequences = [a, b, changed, reverse_complement(changed), "ACGTA", "N" * 50]
    assert splits.cluster_items(table(sequences)).tolist() == [0, 1, 2, 2, 3, 4]
    joined = splits.cluster_items(table(sequences), identity=0.8, coverage=0.8, threads=2)
    assert joined.tolist() == [0, 1, 0, 0, 2, 3]
    assert splits.cluster_items(table(sequences), identity=0.97, coverage=0.8).tolist() == [0, 1, 2, 2, 3, 4]


def test_a_failing_mmseqs_is_told_in_one_line(monkeypatch, tmp_path):
    fake = tmp_path / "mmseqs"
    fake.write_text("#!/bin/sh\necho first >&2\necho 'no space left' >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"^mmseqs easy-linclust: no space left;"):
        splits.mmseqs_clusters(["ACGT"], identity=0.8, coverage=0.8)


@pytest.mark.parametrize("ratio", [None, 1, 2])
def test_grouped_split_keeps_clusters_whole_and_balanced(items, ratio):
    split = splits.make_split(items, scheme="grouped", seed=1, folds=5, ratio=ratio)
    label = items.set_index("id")["label"]
    tested = split[split["part"] == "test"]
    assert tested["id"].is_unique
    assert set(label[tested["id"]]) == {0, 1}
    if ratio is None:
        assert set(tested["id"]) == set(items["id"])
    else:
        assert set(label.index[label == 1]) <= set(tested["id"])
    for fold, rows in split.groupby("fold"):
        assert rows["id"].is_unique
        assert (rows.groupby("cluster")["part"].nunique() == 1).all()
        assert set(rows["part"]) == set(splits.PARTS)
        dev = set(rows.loc[rows["part"] == "dev", "id"])
        assert dev == set(tested.loc[tested["fold"] == (fold + 1) % 5, "id"])
        if ratio is not None:
            for _, ids in rows.groupby("part")["id"]:
                labels = label[ids]
                assert (labels == 0).sum() == ratio * (labels == 1).sum()
    cluster = split.drop_duplicates("id").set_index("id")["cluster"]
    for i in range(0, 90, 6):
        both = [f"i{j}" for j in (i, i + 1) if f"i{j}" in cluster]
        assert cluster[both].nunique() <= 1


def test_rows_stand_by_fold_part_and_item(items):
    split = splits.make_split(items, scheme="grouped", seed=1, folds=3)
    key = (
        split["fold"] * 1000
        + split["part"].map({"train": 0, "dev": 1, "test": 2}) * 100
        + split["id"].str[1:].astype(int)
    )
    assert key.is_monotonic_increasing
    assert list(split) == list(splits.SPLIT_COLUMNS)


def test_the_seed_decides(items):
    first, again, other = (splits.make_split(items, scheme="grouped", seed=s, ratio=1) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_too_few_negatives_are_all_kept(caplog):
    labels, blocks = np.array([1, 1, 0, 1, 0, 0, 0], np.int8), np.array([0, 0, 0, 1, 1, 1, 1])
    kept = splits.balanced(labels, blocks, 1, seed=0)
    assert kept[:4].all()
    assert kept[4:].sum() == 1
    assert "fold 0 has 1 negatives, 2 are wanted" in caplog.text


def test_published_parts_have_the_authors_sizes():
    labels = np.array([1] * 50 + [0] * 400, np.int8)
    parts = splits.published_parts(labels, seed=52)
    for label in (0, 1):
        assert {p: int((parts[labels == label] == p).sum()) for p in splits.PARTS} == {
            "train": 36,
            "dev": 4,
            "test": 10,
        }
    assert (parts == "").sum() == 350
    assert (parts != splits.published_parts(labels, seed=53)).any()


def test_published_split_takes_as_many_negatives_as_there_are():
    parts = splits.published_parts(np.array([1] * 20 + [0] * 10, np.int8), seed=1)
    assert (parts != "").all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheme": "grouped", "folds": 2}, "2 folds leave nothing to train on"),
        ({"scheme": "grouped", "folds": 40}, "positive items form 23 clusters, too few for 40 folds"),
        ({"scheme": "random"}, "allowed: published, grouped"),
    ],
)
def test_impossible_settings(items, settings, message):
    with pytest.raises(InputError, match=message):
        splits.make_split(items, seed=1, **settings)


def test_a_class_too_small_for_the_published_split():
    with pytest.raises(InputError, match="a class with 2 items"):
        splits.published_parts(np.array([1, 1, 0, 0, 0, 0], np.int8), seed=1)


def test_script_and_readers(items, tmp_path):
    items.to_parquet(tmp_path / "items.parquet")
    paths = {"dataset": str(tmp_path / "items.parquet"), "split": str(tmp_path / "split.tsv")}
    settings = {"scheme": "grouped", "folds": 3, "ratio": 1, "use_folds": 1, "max_shared_kmer_share": 0}
    split_dataset.main(**paths, settings=settings, seed=4)
    first = (tmp_path / "split.tsv").read_bytes()
    split_dataset.main(**paths, settings=settings | {"seed": 4}, seed=9)
    assert (tmp_path / "split.tsv").read_bytes() == first
    split = splits.read_split(paths["split"])
    pd.testing.assert_frame_equal(split, splits.make_split(items, scheme="grouped", folds=3, ratio=1, seed=4))
    chosen = splits.items_of(splits.read_items(paths["dataset"]), split, 1, "dev")
    assert chosen["id"].tolist() == split.loc[(split["fold"] == 1) & (split["part"] == "dev"), "id"].tolist()
    with pytest.raises(InputError, match="fold 3: no test items"):
        splits.items_of(items, split, 3, "test")
    with pytest.raises(InputError, match="not among the items"):
        splits.items_of(items.iloc[1:], split.assign(part="train"), 0, "train")


def test_an_items_table_without_a_column_is_refused(items, tmp_path):
    items.drop(columns="start").to_parquet(tmp_path / "items.parquet")
    with pytest.raises(InputError, match=r"no column 'start' \(columns: id, sequence"):
        splits.read_items(tmp_path / "items.parquet")
