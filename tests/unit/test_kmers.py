"""Words of sequences: equal to a slow computation with strings and sets."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleobert import kmers
from nucleobert.sequences import reverse_complement

SEQUENCES = st.lists(st.text("ACGTN", max_size=45), min_size=1, max_size=6)


def slow_words(sequence: str, k: int, both_strands: bool) -> list[str]:
    words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    words = [word for word in words if "N" not in word]
    return [min(word, reverse_complement(word)) for word in words] if both_strands else words


def spelled(number: int, k: int) -> str:
    return "".join("ACGT"[number >> 2 * (k - 1 - i) & 3] for i in range(k))


@settings(max_examples=60, deadline=None)
@given(SEQUENCES, st.integers(1, 31), st.booleans())
def test_numbers_spell_the_words_in_order(sequences, k, both_strands):
    numbers, owners = kmers.kmer_numbers(sequences, k, both_strands=both_strands)
    found = [(owner, spelled(number, k)) for owner, number in zip(owners.tolist(), numbers.tolist(), strict=True)]
    assert found == [(i, w) for i, s in enumerate(sequences) for w in slow_words(s, k, both_strands)]


@settings(max_examples=40, deadline=None)
@given(SEQUENCES, st.integers(1, 12), st.booleans())
def test_table_counts_like_sets(sequences, k, both_strands):
    table = kmers.distinct_kmers(sequences, k, both_strands=both_strands)
    sets = [set(slow_words(s, k, both_strands)) for s in sequences]
    assert table.sizes().tolist() == [len(words) for words in sets]
    assert [spelled(number, k) for number in table.numbers.tolist()] == sorted(set().union(*sets))
    chosen = np.arange(len(sequences)) % 2 == 0
    seen = set().union(*sets[::2])
    assert table.count(table.held_by(chosen)).tolist() == [len(words & seen) for words in sets]


@pytest.mark.parametrize(("held", "batch"), [(1 << 26, 1 << 23), (40, 30)])
@settings(max_examples=30, deadline=None)
@given(sequences=SEQUENCES, k=st.integers(2, 6))
def test_links_connect_exactly_the_holders_of_a_word(sequences, k, held, batch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmers, "_HELD", held)
        patch.setattr(kmers, "_BATCH", batch)
        left, right = kmers.kmer_links(sequences, k)
    sets = [set(slow_words(s, k, True)) for s in sequences]
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    assert len(pairs) == len(left)
    assert all(a < b and sets[a] & sets[b] for a, b in pairs)
    for word in set().union(*sets):
        holders = [i for i, words in enumerate(sets) if word in words]
        assert set(itertools.pairwise(holders)) <= pairs


@pytest.mark.parametrize("k", [0, 32])
def test_a_word_that_no_number_holds_is_refused(k):
    with pytest.raises(ValueError, match="outside 1-31"):
        kmers.kmer_numbers(["ACGT"], k, both_strands=False)
