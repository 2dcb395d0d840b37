"""The audit: worked by hand, equal to a slow count with sets, its threshold and its words."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audit_dataset
from nucleobert import leakage, splits
from nucleobert.errors import InputError
from nucleobert.files import read_json
from nucleobert.report import audit_words, card_html, leak_words
from nucleobert.sequences import reverse_complement


def letters(rng, length: int, alphabet: str = "ACGT") -> str:
    return "".join(rng.choice(list(alphabet), length))


def build(rows: list[tuple[str, int, str]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return items and a split of one fold from (sequence, label, part); an empty part is left out."""
    names = [f"i{i}" for i in range(len(rows))]
    items = pd.DataFrame({"id": names, "sequence": [r[0] for r in rows], "label": [r[1] for r in rows]})
    rest = {"group": "", "chrom": "", "start": -1, "end": -1, "site": -1}
    items = items.assign(**rest).astype({"label": "int8"})
    split = pd.DataFrame({"id": names, "fold": 0, "part": [r[2] for r in rows], "cluster": names})
    return items, split[split["part"] != ""].reset_index(drop=True)


@pytest.fixture
def leaky() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    a, b, c, d = (letters(rng, 100) for _ in range(4))
    low, high = letters(rng, 100, "AAAT"), letters(rng, 600, "GGC")
    return build(
        [
            (a, 1, "train"),
            (b, 0, "train"),
            (high, 1, "train"),
            (low, 0, "train"),
            (c, 1, "dev"),
            (b, 0, "dev"),
            (a, 1, "test"),
            (reverse_complement(b), 0, "test"),
            (a[:31] + letters(rng, 200), 1, "test"),
            (c[10:] + letters(rng, 10), 1, "test"),
            (d[:60] + "N" + d[61:], 0, "test"),
            (letters(rng, 40), 0, ""),
        ]
    )


def test_audit_worked_by_hand(leaky):
    audit = leakage.audit_split(*leaky, task="t", name="s", max_length=500)
    fold = audit["folds"][0]
    assert audit["natural"] == {"1": 6, "0": 6}
    assert fold["n"] == {"train": {"1": 2, "0": 2}, "dev": {"1": 1, "0": 1}, "test": {"1": 3, "0": 2}}
    assert fold["clusters"] == {"train": 4, "dev": 2, "test": 5}
    assert fold["exact_duplicates"] == {"dev": 1, "test": 2}
    assert fold["near_duplicates"] == {"dev": 1, "test": 3}
    assert fold["test_shared_kmer"]["1"] == {"n": 3, "shared": 3, "share": 1.0}
    assert fold["test_shared_kmer"]["0"] == {"n": 2, "shared": 0, "share": 0.0}
    assert fold["test_shared_kmer_both_strands"]["0"] == {"n": 2, "shared": 1, "share": 0.5}
    assert fold["truncated"] == {"1": 1, "0": 0}
    assert fold["with_n"] == {"1": 0, "0": 1}
    assert fold["length"]["1"]["mean"] == pytest.approx((100 + 600 + 100 + 100 + 231 + 100) / 6)
    assert fold["length"]["0"]["q50"] == 100


def test_gc_auroc_takes_its_direction_from_training():
    rows = [("GGGG", 1, "train"), ("AAAA", 0, "train"), ("GGCC", 1, "dev"), ("AATA", 0, "dev")]
    test = [("AAAA", 1, "test"), ("AAAG", 1, "test"), ("GGGG", 0, "test"), ("GGGA", 0, "test")]
    against = leakage.audit_split(*build(rows + test), task="t", name="s")["folds"][0]["auroc"]["gc"]
    turned = [(s, 1 - label, part) for s, label, part in rows]
    along = leakage.audit_split(*build(turned + test), task="t", name="s")["folds"][0]["auroc"]["gc"]
    assert (against, along) == (0.0, 1.0)
    one_class = [row for row in test if row[1]]
    assert leakage.audit_split(*build(rows + one_class), task="t", name="s")["folds"][0]["auroc"]["gc"] is None


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("AC", min_size=28, max_size=45), st.integers(0, 1), st.sampled_from(splits.PARTS)), min_size=3
    )
)
def test_shared_words_equal_a_slow_count(rows):
    rows = [(s[:20] * 2 + s, label, part) for s, label, part in rows]
    fold = leakage.audit_split(*build(rows), task="t", name="s")["folds"][0]
    words = [{s[i : i + 31] for i in range(len(s) - 30)} for s, _, _ in rows]
    seen = {w for (_, _, part), of in zip(rows, words, strict=True) if part != "test" for w in of}
    for label in (0, 1):
        hits = [bool(of & seen) for (_, y, part), of in zip(rows, words, strict=True) if part == "test" and y == label]
        found = fold["test_shared_kmer"][str(label)]
        assert (found["n"], found["shared"]) == (len(hits), sum(hits))
        assert found["share"] == (sum(hits) / len(hits) if hits else None)
    near = [
        len(of & (seen | {reverse_complement(w) for w in seen})) >= 0.5 * len(of)
        for (_, _, part), of in zip(rows, words, strict=True)
        if part == "test"
    ]
    assert fold["near_duplicates"]["test"] == sum(near)


def test_an_unrelated_short_test_item_is_no_near_duplicate():
    rows = [
        ("A" * 40, 1, "train"),
        ("C" * 40, 0, "train"),
        ("G" * 20, 1, "dev"),
        ("ACGTACGA", 1, "test"),
        ("G" * 20, 0, "test"),
    ]
    fold = leakage.audit_split(*build(rows), task="t", name="s")["folds"][0]
    assert fold["near_duplicates"] == {"dev": 0, "test": 1}
    assert fold["exact_duplicates"] == {"dev": 0, "test": 1}


def test_the_threshold_counts_both_strands_and_says_what_to_do(leaky):
    audit = leakage.audit_split(*leaky, task="t", name="s")
    leakage.check_leak(audit, None, "split.tsv")
    leakage.check_leak(audit, 0.8, "split.tsv")
    with pytest.raises(InputError, match=r"split.tsv, fold 0: 4 of 5 test items share a 31-mer .*use scheme grouped"):
        leakage.check_leak(audit, 0.79, "split.tsv")


def test_statements_sum_over_folds(leaky):
    items, split = leaky
    two = pd.concat([split, split.assign(fold=1)])
    found = {(s["name"], s.get("label")): s for s in leakage.audit_split(items, two, task="t", name="s")["statements"]}
    shared = found["test_shared_kmer", 1]
    assert (shared["count"], shared["total"]) == (6, 6)
    assert shared["text"] == "6 of 6 positive test windows share a 31-mer with training."
    assert found["exact_duplicates", None]["text"] == "4 of 10 test windows are exact copies of windows in training."
    assert found["truncated", None]["count"] == 1
    assert "mean of 2 folds" in found["auroc_gc", None]["text"]


def test_an_unknown_item_is_refused(leaky):
    items, split = leaky
    with pytest.raises(InputError, match="item 'i0': not among the items"):
        leakage.audit_split(items.iloc[1:], split, task="t", name="s")


def test_script_writes_audit_and_card_or_nothing(leaky, tmp_path):
    items, split = leaky
    items.to_parquet(tmp_path / "dataset.parquet")
    splits.write_split(tmp_path / "split.tsv", split)
    paths = {name: str(tmp_path / name) for name in ("dataset.parquet", "split.tsv", "audit.json", "card.md")}
    arguments = {key.split(".")[0]: path for key, path in paths.items()}
    arguments |= {"task": "t", "title": "made of rows", "split_name": "s"}
    with pytest.raises(InputError):
        audit_dataset.main(**arguments, max_shared_kmer_share=0)
    assert {path.name for path in tmp_path.iterdir()} == {"dataset.parquet", "split.tsv"}
    audit_dataset.main(**arguments)
    audit = read_json(paths["audit.json"])
    assert audit["task"] == "t"
    assert leak_words(audit) == (
        "3 of 3 positive test windows share a 31-mer with training. "
        "0 of 2 negative test windows share a 31-mer with training."
    )
    assert audit_words(audit)["parts"] == [
        {"fold": 0, "clusters": 5, "train": "2 / 2", "dev": "1 / 1", "test": "3 / 2"}
    ]
    card = (tmp_path / "card.md").read_text()
    assert card.startswith("# made of rows: split s\n\n12 windows before balancing: 6 positive, 6 negative.\n")
    assert "| 0 | test | 3 | 2 | 5 |" in card
    assert "<td>test</td><td>3</td><td>2</td><td>5</td>" in card_html(card)
