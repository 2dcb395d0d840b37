"""FASTA in and out, letters, reverse complement."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleobert.errors import InputError
from nucleobert.sequences import clean_sequence, read_fasta, reverse_complement, write_fasta

LETTERS = st.text(alphabet="ACGTN", min_size=1, max_size=50)


def test_letters_by_rule():
    assert clean_sequence("acguRYn", "x") == "ACGTNNN"


@given(LETTERS)
def test_reverse_complement_is_its_own_inverse_and_pairs_bases(sequence):
    pairs = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
    assert reverse_complement(sequence) == "".join(pairs[base] for base in sequence[::-1])
    assert reverse_complement(reverse_complement(sequence)) == sequence


def test_written_records_are_read_back(tmp_path):
    records = {"a": "ACGT", "b|x": "NNA"}
    write_fasta(tmp_path / "x.fa", records.items())
    assert read_fasta(tmp_path / "x.fa") == records


def test_wrapped_and_gzipped_records(tmp_path):
    path = tmp_path / "x.fa.gz"
    path.write_bytes(gzip.compress(b">a first\nACg\nTT\n\n>b\nU\n"))
    assert read_fasta(path) == {"a": "ACGTT", "b": "T"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.fa: the FASTA file has no records; give a file"),
        ("ACGT\n", "x.fa:1: sequence before the first '>'"),
        (">a\nAC\n>a\nGG\n", "x.fa, record 'a': two records have this id"),
        (">a\n>b\nA\n", "x.fa, record 'a': the record has no sequence"),
        (">a\nACXT\n", "x.fa, record 'a': the letter 'X' at position 3 is not an IUPAC nucleotide code"),
        (">\nAC\n", "x.fa:1: a record without an id"),
    ],
)
def test_bad_fasta_is_one_line_with_place_and_remedy(tmp_path, text, message):
    path = tmp_path / "x.fa"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_fasta(path)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)
