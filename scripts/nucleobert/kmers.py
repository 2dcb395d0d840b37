"""Words of up to 31 nucleotides as 64-bit numbers, for whole sets of sequences at once.

A word is a base-4 number over A, C, G, T = 0, 1, 2, 3, first letter first. On both strands it stands for itself and its
reverse complement by the smaller of the two numbers. Words with an N do not count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_K = 31

_N = 4
_BATCH = 1 << 23
_HELD = 1 << 26
_CODE_OF_BYTE = np.full(256, _N, dtype=np.uint8)
_CODE_OF_BYTE[list(b"ACGT")] = range(4)

Numbers = NDArray[np.uint64]
Owners = NDArray[np.int32]


def _join(left: Numbers, width: int, right: Numbers, right_width: int, *, first_letter_first: bool) -> Numbers:
    """Return at each position the number of the word at `left` followed by the adjacent word of `right`."""
    right = right[width:]
    left = left[: len(right)]
    if first_letter_first:
        return (left << np.uint64(2 * right_width)) | right
    return left | (right << np.uint64(2 * width))


def _roll(codes: Numbers, k: int, *, first_letter_first: bool) -> Numbers:
    """Return the numbers of all words of length `k`, shape (length - k + 1,), by joining words of doubled lengths."""
    power, width = codes, 1
    words, done = codes[:0], 0
    while True:
        if k & width:
            words = _join(words, done, power, width, first_letter_first=first_letter_first) if done else power
            done += width
        if done == k:
            return words
        power = _join(power, width, power, width, first_letter_first=first_letter_first)
        width *= 2


def _batches(sequences: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    start, size = 0, 0
    for stop, sequence in enumerate(sequences, start=1):
        size += len(sequence) + 1
        if size >= _BATCH or stop == len(sequences):
            yield start, sequences[start:stop]
            start, size = stop, 0


def _numbers_of_batch(sequences: Sequence[str], k: int, both_strands: bool) -> tuple[Numbers, Owners]:
    codes = _CODE_OF_BYTE[np.frombuffer("".join(sequence + "|" for sequence in sequences).encode("ascii"), np.uint8)]
    owners = np.repeat(np.arange(len(sequences), dtype=np.int32), [len(sequence) + 1 for sequence in sequences])
    if len(codes) < k:
        return np.empty(0, np.uint64), np.empty(0, np.int32)
    unknown = np.concatenate([[0], np.cumsum(codes == _N, dtype=np.int32)])
    known = unknown[k:] == unknown[:-k]
    letters = (codes & 3).astype(np.uint64)
    numbers = _roll(letters, k, first_letter_first=True)
    if both_strands:
        numbers = np.minimum(numbers, _roll(np.uint64(3) - letters, k, first_letter_first=False))
    return numbers[known], owners[: len(known)][known]


def _collect(
    sequences: Sequence[str], k: int, both_strands: bool, bucket: int = 0, buckets: int = 1
) -> tuple[Numbers, Owners]:
    """Return numbers and owners of the words whose number is `bucket` modulo `buckets`."""
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k = {k} is outside 1-{MAX_K}")
    found = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
    for start, batch in _batches(sequences):
        numbers, owners = _numbers_of_batch(batch, k, both_strands)
        if buckets > 1:
            chosen = numbers % np.uint64(buckets) == bucket
            numbers, owners = numbers[chosen], owners[chosen]
        found[0].append(numbers)
        found[1].append(owners + np.int32(start))
    return np.concatenate(found[0]), np.concatenate(found[1])


def kmer_numbers(sequences: Sequence[str], k: int, *, both_strands: bool) -> tuple[Numbers, Owners]:
    """Return the number of the word at every position of every sequence, and the sequence's index.

    Parameters
    ----------
    sequences
        In the letters A, C, G, T and N.
    k
        Length of the words, 1 to 31.
    both_strands
        Whether a word and its reverse complement are one.

    Returns
    -------
    tuple
        Numbers and indices, both of shape (words,), in the order of the sequences and of their positions.

    >>> numbers, owners = kmer_numbers(["ACGN", "TT"], 2, both_strands=False)
    >>> numbers.tolist(), owners.tolist()
    ([1, 6, 15], [0, 0, 1])
    """
    return _collect(sequences, k, both_strands)


@dataclass(frozen=True)
class KmerTable:
    """Which sequence holds which words, each pair once.

    Attributes
    ----------
    owners, words
        Indices of sequences and of words, both of shape (pairs,), sorted by word, then owner.
    numbers
        The words' numbers, ascending, shape (words,).
    sequences
        How many sequences there are.
    """

    owners: Owners
    words: Owners
    numbers: Numbers
    sequences: int

    def sizes(self) -> NDArray[np.int64]:
        """Return how many distinct words each sequence holds, shape (sequences,)."""
        return np.bincount(self.owners, minlength=self.sequences)

    def held_by(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which words the `chosen` sequences (shape (sequences,)) hold, shape (words,)."""
        held = np.zeros(len(self.numbers), dtype=bool)
        held[self.words[chosen[self.owners]]] = True
        return held

    def count(self, counted: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many of the `counted` words (shape (words,)) each sequence holds, shape (sequences,)."""
        return np.bincount(self.owners[counted[self.words]], minlength=self.sequences)


def _sorted_by_number(numbers: Numbers, owners: Owners) -> tuple[Numbers, Owners]:
    order = np.argsort(numbers, kind="stable")
    return numbers[order], owners[order]


def distinct_kmers(sequences: Sequence[str], k: int, *, both_strands: bool) -> KmerTable:
    """Return the distinct words of each sequence; parameters as in `kmer_numbers`."""
    numbers, owners = _sorted_by_number(*_collect(sequences, k, both_strands))
    new_word = np.ones(len(numbers), dtype=bool)
    new_word[1:] = numbers[1:] != numbers[:-1]
    new_pair = new_word.copy()
    new_pair[1:] |= owners[1:] != owners[:-1]
    words = np.cumsum(new_word, dtype=np.int32)[new_pair] - np.int32(1)
    return KmerTable(owners[new_pair], words, numbers[new_word], len(sequences))


def kmer_links(sequences: Sequence[str], k: int) -> tuple[Owners, Owners]:
    """Return pairs of sequences that share a word on either strand: per word its holders in a chain.

    Words are taken in turns by their number, so that about 2**26 are held at a time.

    Returns
    -------
    tuple
        Indices of the two sequences, both of shape (pairs,); a pair stands once.
    """
    buckets = 1 + sum(map(len, sequences)) // _HELD
    links = np.empty(0, dtype=np.int64)
    for bucket in range(buckets):
        numbers, owners = _sorted_by_number(*_collect(sequences, k, True, bucket, buckets))
        linked = (numbers[1:] == numbers[:-1]) & (owners[1:] != owners[:-1])
        pairs = owners[:-1][linked].astype(np.int64) * len(sequences) + owners[1:][linked]
        links = np.union1d(links, pairs)
    left, right = np.divmod(links, max(len(sequences), 1))
    return left.astype(np.int32), right.astype(np.int32)
