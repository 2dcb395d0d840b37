"""Masks for masked-language pretraining on overlapping k-mers.

Neighbouring k-mers share letters, so hiding single tokens hides nothing. Here nucleotides are hidden, in spans,
together with every k-mer that covers one of them. The covering k-mers of close spans form one run; each run gets one
fate: all of it [MASK] (80 %), its hidden nucleotides replaced by random ones and the k-mers made anew (10 %), or left
as it is (10 %). A fate drawn per token would leave the hidden letters readable in the neighbours.

Every draw is a hash of (seed, epoch, item, position), so it does not depend on how items are batched.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucleobert.tokens import MASK, N_CODE, UNK, frame, kmer_ids

IGNORED = -100
_MASKED_SHARE, _RANDOM_SHARE = 0.8, 0.1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Masked:
    """A masked batch of n sequences.

    Attributes
    ----------
    ids
        Token ids with [CLS] and [SEP], int64, shape (n, tokens).
    labels
        The hidden token ids, -100 elsewhere, int64, shape (n, tokens).
    hidden
        Hidden nucleotides, bool, shape (n, longest).
    token_count, nucleotide_count
        Number of k-mers and of nucleotides in the batch, padding and N left out.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    hidden: NDArray[np.bool_]
    token_count: int
    nucleotide_count: int


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64's output for each state (Steele et al., OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def item_keys(seed: int, epoch: int, items: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return one key per item, from which all its draws follow, shape (n,)."""
    key = np.zeros(len(items), dtype=np.uint64)
    for part in (np.full(len(items), seed), np.full(len(items), epoch), items):
        key = _mix((key ^ np.asarray(part, dtype=np.uint64)) + _GOLDEN)
    return key


def _uniform(keys: NDArray[np.uint64], stream: int, count: int) -> NDArray[np.float64]:
    """Return uniform numbers in [0, 1), shape (n, count); `stream` tells independent uses apart."""
    positions = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(stream << 32)) * _GOLDEN
    return (_mix(keys[:, None] + positions) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mask_spans(
    codes: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    keys: NDArray[np.uint64],
    *,
    k: int,
    share: float = 0.15,
    span: int = 6,
    masked_share: float = _MASKED_SHARE,
    random_share: float = _RANDOM_SHARE,
) -> Masked:
    """Hide spans of nucleotides and every k-mer that covers them.

    Parameters
    ----------
    codes
        Letter codes, shape (n, longest), padded with 4 on the right.
    lengths
        Nucleotides of each sequence, shape (n,).
    keys
        From `item_keys`, shape (n,).
    share
        Expected share of hidden nucleotides; a span starts at each place with the probability that gives it.
    span
        Nucleotides in a span; spans may overlap.
    masked_share, random_share
        Shares of the runs that become [MASK] and that get random letters; the rest is left as it is.
    """
    rows, longest = codes.shape
    start_probability = 1 - (1 - share) ** (1 / span)
    starts = _uniform(keys, 1, longest + span - 1) < start_probability
    hidden = np.zeros((rows, longest), dtype=bool)
    for offset in range(span):
        hidden |= starts[:, offset : offset + longest]
    inside = np.arange(longest) < lengths[:, None]
    known = inside & (codes != N_CODE)
    hidden &= known

    counts = np.maximum(lengths - k + 1, 0)
    width = max(longest - k + 1, 0)
    covering = np.zeros((rows, width), dtype=bool)
    for offset in range(k):
        covering |= hidden[:, offset : offset + width]
    covering &= np.arange(width) < counts[:, None]

    begins = covering.copy()
    begins[:, 1:] &= ~covering[:, :-1]
    run = np.maximum.accumulate(np.where(begins, np.arange(width), 0), axis=1)
    draw = np.take_along_axis(_uniform(keys, 2, width), run, axis=1)
    masked = covering & (draw < masked_share)
    random = covering & ~masked & (draw < masked_share + random_share)

    replaced = np.zeros_like(hidden)
    for offset in range(k):
        replaced[:, offset : offset + width] |= random
    replaced &= hidden
    letters = np.where(replaced, (_uniform(keys, 3, longest) * 4).astype(np.uint8), codes)

    targets = kmer_ids(codes, k)
    inputs = np.where(masked, MASK, kmer_ids(letters, k))
    labels = np.full((rows, width + 2), IGNORED, dtype=np.int64)
    labels[:, 1:-1] = np.where(covering & (targets != UNK), targets, IGNORED)
    tokens = (targets != UNK) & (np.arange(width) < counts[:, None])
    return Masked(frame(inputs, counts), labels, hidden, int(tokens.sum()), int(known.sum()))
