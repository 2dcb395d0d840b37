"""Integrated gradients, their folding onto nucleotides and their checks, on models small enough to know."""

import doctest
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit
from transformers import BertConfig, BertForSequenceClassification

from nucleobert import attribution
from nucleobert.attribution import (
    DELETED_SHARES,
    Explanation,
    baseline_of,
    choose_items,
    deletion_curve,
    fold_kmers,
    integrated_gradients,
    randomised_weights,
    write_attributions,
)
from nucleobert.tokens import CLS, MASK, PAD, SEP, UNK, encode, model_inputs, vocabulary_size


class Sum(torch.nn.Module):
    """A model whose logit is `shape` of the sum of one number per token: its gradients are known by hand."""

    def __init__(self, words, shape=lambda total: total):
        super().__init__()
        self.words = torch.nn.Embedding.from_pretrained(torch.as_tensor(words, dtype=torch.float32)[:, None])
        self.shape = shape

    def get_input_embeddings(self):
        return self.words

    def forward(self, input_ids=None, inputs_embeds=None, attention_mask=None):
        embedded = self.words(input_ids) if inputs_embeds is None else inputs_embeds
        return SimpleNamespace(logits=self.shape((embedded[..., 0] * attention_mask).sum(-1, keepdim=True)))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_bert(seed=0, scale=0.4):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=vocabulary_size(3),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=1,
        initializer_range=scale,
    )
    return BertForSequenceClassification(config).eval().requires_grad_(False)


def ids_of(sequence, k=3):
    return model_inputs([encode(sequence)], k)[0]


SEQUENCE = "ACGTTGCANNACCGTAGGTTCAAT"


def test_doctests():
    assert doctest.testmod(attribution).failed == 0
    assert doctest.testmod(attribution).attempted > 0


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_folding_keeps_the_sum_and_shares_equally(k):
    scores = np.random.default_rng(k).normal(size=17)
    folded = fold_kmers(scores, k)
    assert folded.shape == (17 + k - 1,)
    assert folded.sum() == pytest.approx(scores.sum())
    slow = np.zeros(17 + k - 1)
    for at, score in enumerate(scores):
        for nucleotide in range(at, at + k):
            slow[nucleotide] += score / k
    np.testing.assert_allclose(folded, slow)


def test_baseline_keeps_the_special_tokens():
    ids = np.array([CLS, 9, UNK, 12, SEP, PAD])
    for name, token in (("mask", MASK), ("pad", PAD), ("unk", UNK)):
        assert baseline_of(ids, name).tolist() == [CLS, token, token, token, SEP, PAD]


def test_a_linear_model_is_explained_exactly():
    words = np.arange(vocabulary_size(3), dtype=float) ** 1.5
    ids = ids_of(SEQUENCE)
    found = integrated_gradients(Sum(words), ids, baseline="mask", steps=3)
    np.testing.assert_allclose(found.tokens, words[ids] - words[baseline_of(ids, "mask")], rtol=1e-5)
    assert found.tokens[0] == found.tokens[-1] == 0
    assert found.logit == pytest.approx(words[ids].sum(), rel=1e-5)
    assert found.baseline_logit == pytest.approx(words[baseline_of(ids, "mask")].sum(), rel=1e-5)


def test_a_square_shares_its_change_in_proportion():
    # the logit is s**2 with s = sum of the words; the integral gives (w - b) * (S**2 - B**2) / (S - B)
    words = np.zeros(vocabulary_size(3))
    words[5:] = np.random.default_rng(1).uniform(0.1, 1, 64)
    ids = ids_of("ACGTTGCAACC")
    found = integrated_gradients(Sum(words, torch.square), ids, baseline="mask", steps=8)
    total = words[ids].sum()
    np.testing.assert_allclose(found.tokens, words[ids] * total, rtol=1e-4)
    assert found.completeness_error == pytest.approx(0, abs=1e-4)


def test_bert_is_complete_and_special_tokens_are_silent():
    model = tiny_bert()
    ids = ids_of(SEQUENCE)
    errors = {}
    for steps in (2, 64):
        found = integrated_gradients(model, ids, baseline="mask", steps=steps)
        assert found.tokens[0] == found.tokens[-1] == 0
        with torch.no_grad():
            logits = [model(torch.from_numpy(i)[None]).logits.item() for i in (ids, baseline_of(ids, "mask"))]
        assert [found.logit, found.baseline_logit] == pytest.approx(logits, abs=1e-5)
        errors[steps] = abs(found.completeness_error)
        assert errors[steps] == pytest.approx(abs(found.tokens.sum() - (logits[0] - logits[1])), abs=1e-5)
    assert errors[64] < 1e-3 * abs(found.logit - found.baseline_logit)
    assert errors[64] < errors[2]


def test_the_sign_is_that_of_label_1_whatever_the_class():
    words = np.zeros(vocabulary_size(3))
    words[ids_of("AAA")[1]] = -2
    found = integrated_gradients(Sum(words), ids_of("AAAA"), baseline="mask", steps=2)
    assert (found.tokens[1:-1] < 0).all()
    assert expit(found.logit) < 0.5


def test_choice_is_seeded_balanced_and_ordered():
    labels = [0, 1, 0, 0, 1, 0, 1, 0]
    chosen = choose_items(labels, 2, np.random.default_rng(1))
    assert (chosen == choose_items(labels, 2, np.random.default_rng(1))).all()
    assert sorted(np.array(labels)[chosen]) == [0, 0, 1, 1]
    assert (np.diff(chosen) > 0).all()
    assert choose_items(labels, None, np.random.default_rng(1)).tolist() == list(range(8))
    assert choose_items(labels, 4, np.random.default_rng(1)).size == 7


def test_random_weights_correlate_little_and_equal_weights_fully():
    torch.manual_seed(5)
    model = tiny_bert()
    items = [ids_of("".join(np.random.default_rng(i).choice(list("ACGT"), 50))) for i in range(4)]
    explained = [integrated_gradients(model, ids, baseline="mask", steps=8) for ids in items]
    state = torch.random.get_rng_state()
    value = randomised_weights(model, items, explained, baseline="mask", steps=8, seed=3)
    assert 0 <= value < 0.5
    assert value == randomised_weights(model, items, explained, baseline="mask", steps=8, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fresh = type(model)(model.config).eval()
    own = [integrated_gradients(fresh, ids, baseline="mask", steps=8) for ids in items]
    assert randomised_weights(model, items, own, baseline="mask", steps=8, seed=3) == pytest.approx(1)


def test_deletion_of_the_highest_scores_falls_first():
    words = np.zeros(vocabulary_size(3))
    words[5:] = np.random.default_rng(2).normal(size=64)
    model = Sum(words)
    items = [ids_of("".join(np.random.default_rng(i).choice(list("ACGT"), 60))) for i in range(3)]
    explained = [integrated_gradients(model, ids, baseline="mask", steps=2) for ids in items]
    highest, random = deletion_curve(model, items, explained, baseline="mask", rng=np.random.default_rng(0))
    assert len(highest) == len(random) == len(DELETED_SHARES)
    assert highest[0] == random[0] == pytest.approx(np.mean([words[ids].sum() for ids in items]), abs=1e-4)
    assert highest[-1] == pytest.approx(random[-1]) == pytest.approx(0, abs=1e-4)
    assert all(h < r for h, r in zip(highest[1:-1], random[1:-1], strict=True))


def test_completeness_error_by_hand():
    assert Explanation(np.array([0.0, 1.5, 0.0]), 2.0, 1.0).completeness_error == 0.5


def test_equal_arrays_give_equal_bytes(tmp_path, monkeypatch):
    arrays = {"ids": np.array(["a", "b"]), "scores": np.array([[1, np.nan]], dtype=np.float32)}
    write_attributions(tmp_path / "a.npz", arrays)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    write_attributions(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with pytest.raises(ValueError, match="allow_pickle"):
        write_attributions(tmp_path / "c.npz", {"ids": np.array([{}], dtype=object)})
    assert not (tmp_path / "c.npz").exists()
