"""Packed corpora: cutting, duplicates, the held-out part, the script."""

import json

import numpy as np
import pandas as pd
import pytest

import build_corpus
from nucleobert.corpora import build_corpus as build
from nucleobert.corpora import cut, read_corpus
from nucleobert.errors import InputError
from nucleobert.tokens import encode


def text(codes: np.ndarray) -> str:
    return "".join("ATCGN"[c] for c in codes)


def random_sequence(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def write(folder, fasta: dict[str, str], regions: list[str] | None = None) -> dict:
    (folder / "a.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in fasta.items()))
    tables = []
    if regions is not None:
        pd.DataFrame({"id": range(len(regions)), "sequence": regions}).to_parquet(folder / "r.parquet")
        tables = [str(folder / "r.parquet")]
    return {"regions": tables, "fastas": [str(folder / "a.fa")]}


def test_cutting_leaves_out_a_short_remainder() -> None:
    assert [len(p) for p in cut(np.zeros(131, np.uint8), 50)] == [50, 50]
    assert [len(p) for p in cut(np.zeros(132, np.uint8), 50)] == [50, 50, 32]
    assert cut(np.zeros(31, np.uint8), 50) == []


def test_script_packs_what_it_was_given(tmp_path) -> None:
    one, two = random_sequence(150, 1), random_sequence(40, 2)
    sources = write(tmp_path, {"one": one, "again": one, "n": "N" * 40}, [two, two[:-1] + "N"])
    paths = {
        name: str(tmp_path / "out" / f) for name, f in zip(("codes", "offsets", "card"), ("c", "o", "j"), strict=True)
    }
    build_corpus.main(**sources, **paths, max_length=100, held_out=0.0, seed=0)
    corpus = read_corpus(**paths)
    assert [text(corpus.sequence(i)) for i in range(len(corpus))] == [two, two[:-1] + "N", one[:100], one[100:]]
    assert isinstance(corpus.codes, np.memmap)
    card = json.loads((tmp_path / "out" / "j").read_text())
    assert (card["sequences"], card["pieces"], card["nucleotides"], card["n"]) == (5, 4, 230, 1)
    assert (card["dropped_duplicates"], card["dropped_mostly_n"]) == (2, 1)
    assert [(s["source"], s["pieces"]) for s in card["sources"]] == [("r.parquet", 2), ("a.fa", 2)]
    codes, lengths = corpus.batch(np.array([3, 0]))
    assert text(codes[0]) == one[100:]
    assert lengths.tolist() == [50, 40]
    assert codes.shape == (2, 50)


def test_pieces_of_a_sequence_are_on_one_side_and_the_seed_decides(tmp_path) -> None:
    sequences = {f"s{i}": random_sequence(100, i) for i in range(60)}
    sources = write(tmp_path, sequences)
    corpus, card = build(**sources, max_length=50, held_out=0.3, seed=4)
    held_out = {text(corpus.sequence(i)) for i in range(corpus.held_out_from, len(corpus))}
    assert 0 < len(held_out) < 60
    assert card["held_out_pieces"] == len(held_out)
    for sequence in sequences.values():
        assert (sequence[:50] in held_out) == (sequence[50:] in held_out)
    same, _ = build(**sources, max_length=50, held_out=0.3, seed=4)
    other, _ = build(**sources, max_length=50, held_out=0.3, seed=5)
    assert same.codes.tobytes() == corpus.codes.tobytes()
    assert other.codes.tobytes() != corpus.codes.tobytes()


def test_nothing_to_train_on_is_told(tmp_path) -> None:
    with pytest.raises(InputError, match=r"corpus of a\.fa: no sequence is left"):
        build(**write(tmp_path, {"short": "ACGT"}), max_length=510, held_out=0.02, seed=0)


def test_files_of_two_corpora_are_told_apart(tmp_path) -> None:
    for name, length in (("x", 100), ("y", 120)):
        (tmp_path / name).mkdir()
        sources = write(tmp_path / name, {"one": random_sequence(length, 1)})
        build_corpus.main(
            **sources, **{part: str(tmp_path / name / part) for part in ("codes", "offsets", "card")}, seed=0
        )
    with pytest.raises(InputError, match="build the corpus again"):
        read_corpus(str(tmp_path / "x/codes"), str(tmp_path / "y/offsets"), str(tmp_path / "x/card"))


def test_encoding_is_that_of_the_tokens() -> None:
    assert text(encode("ATCGN")) == "ATCGN"
