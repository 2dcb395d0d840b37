"""Span masks: nothing hidden stays readable, shares are as set, draws depend on the item alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleobert.masking import IGNORED, item_keys, mask_spans
from nucleobert.tokens import MASK, N_CODE, PAD, kmer_ids


def batch(rows: int, length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 4, (rows, length), dtype=np.uint8), np.full(rows, length)


@pytest.mark.parametrize("k", [3, 4, 5, 6])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.4])
def test_the_share_of_hidden_nucleotides_is_the_setting(k: int, share: float) -> None:
    codes, lengths = batch(200, 510)
    masked = mask_spans(codes, lengths, item_keys(1, 0, np.arange(200)), k=k, share=share, span=3)
    assert masked.hidden.mean() == pytest.approx(share, abs=0.01)
    edge = mask_spans(*batch(20000, 12), item_keys(1, 0, np.arange(20000)), k=k, share=share, span=3).hidden.mean(0)
    assert edge == pytest.approx(np.full(12, share), abs=0.02)


@given(st.integers(3, 6), st.integers(1, 8), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_labels_are_exactly_the_kmers_that_cover_hidden_nucleotides(k: int, span: int, seed: int) -> None:
    codes, lengths = batch(4, 60, seed)
    lengths = np.array([60, 41, k, k - 1])
    codes[np.arange(60) >= lengths[:, None]] = N_CODE
    codes[0, 20] = N_CODE
    masked = mask_spans(codes, lengths, item_keys(seed, 0, np.arange(4)), k=k, share=0.2, span=span)
    for row in range(4):
        assert not masked.hidden[row, lengths[row] :].any()
        assert not masked.hidden[0, 20]
        for token in range(60 - k + 1):
            window = slice(token, token + k)
            inside = token + k <= lengths[row] and (codes[row, window] != N_CODE).all()
            expected = kmer_ids(codes[row, window], k)[0] if inside and masked.hidden[row, window].any() else IGNORED
            assert masked.labels[row, token + 1] == expected
    assert (masked.labels[:, 0] == IGNORED).all()
    assert (masked.ids[3] == [2, 3] + [PAD] * (60 - k + 1)).all()


@pytest.mark.parametrize("k", [3, 6])
def test_one_fate_for_a_run_and_letters_hidden_by_it_are_in_no_visible_kmer(k: int) -> None:
    rows = 2000
    codes, lengths = batch(rows, 300)
    masked = mask_spans(codes, lengths, item_keys(3, 0, np.arange(rows)), k=k)
    true = kmer_ids(codes, k)
    inputs, labelled = masked.ids[:, 1:-1], masked.labels[:, 1:-1] != IGNORED
    assert (inputs[~labelled] == true[~labelled]).all()
    fates = {"masked": 0, "random": 0, "kept": 0}
    for row in range(rows):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], labelled[row].astype(int), [0]])))
        for start, end in edges.reshape(-1, 2):
            run = inputs[row, start:end]
            if (run == MASK).any():
                assert (run == MASK).all()
                fates["masked"] += 1
            elif (run == true[row, start:end]).all():
                fates["kept"] += 1
            else:
                fates["random"] += 1
                letters = np.full(300, -1)
                for token in range(start, end):
                    digits = [(int(inputs[row, token]) - 5) // 4 ** (k - 1 - j) % 4 for j in range(k)]
                    known = letters[token : token + k]
                    assert ((known == -1) | (known == digits)).all()
                    letters[token : token + k] = digits
                shown = letters[start : end + k - 1]
                seen = ~masked.hidden[row, start : end + k - 1]
                assert (shown[seen] == codes[row, start : end + k - 1][seen]).all()
    total = sum(fates.values())
    assert fates["masked"] / total == pytest.approx(0.8, abs=0.02)
    assert fates["random"] / total == pytest.approx(0.1, abs=0.02)


def test_random_letters_are_uniform() -> None:
    codes = np.zeros((500, 300), dtype=np.uint8)
    masked = mask_spans(
        codes, np.full(500, 300), item_keys(0, 0, np.arange(500)), k=3, masked_share=0, random_share=1, share=0.3
    )
    first = (masked.ids[:, 1:-1] - 5) // 16
    drawn = np.bincount(first[masked.hidden[:, :298]], minlength=4)
    assert drawn / drawn.sum() == pytest.approx([0.25] * 4, abs=0.01)


def test_draws_do_not_depend_on_the_batch_but_on_seed_epoch_and_item() -> None:
    codes, lengths = batch(8, 100)
    items = np.arange(8)
    whole = mask_spans(codes, lengths, item_keys(5, 2, items), k=6)
    part = mask_spans(codes[[6, 1]], lengths[[6, 1]], item_keys(5, 2, items[[6, 1]]), k=6)
    assert (part.ids == whole.ids[[6, 1]]).all()
    assert (part.labels == whole.labels[[6, 1]]).all()
    same = np.broadcast_to(codes[:1], codes.shape)
    assert len({mask_spans(same, lengths, item_keys(5, 2, items), k=6).ids[i].tobytes() for i in items}) == 8
    for keys in (item_keys(6, 2, items), item_keys(5, 3, items)):
        assert (mask_spans(codes, lengths, keys, k=6).ids != whole.ids).any()


def test_counts_leave_out_padding_and_n() -> None:
    codes = np.array([[0, 1, 2, 3, 0, 1], [0, 4, 2, 3, 0, 4]], dtype=np.uint8)
    masked = mask_spans(codes, np.array([6, 5]), item_keys(0, 0, np.arange(2)), k=3)
    assert (masked.token_count, masked.nucleotide_count) == (4 + 1, 6 + 4)
