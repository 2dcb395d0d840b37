"""Operations and weights of networks, by hand."""

import pytest

from nucleobert.network_arithmetic import Network

BERT = {"hidden": 8, "layers": 3, "heads": 2, "intermediate": 32, "attention_dropout": 0.0, "max_tokens": 64}


def test_the_arithmetic_of_an_encoder():
    # A layer has 4 x 8 x 8 + 2 x 8 x 32 = 768 weights; attention over 50 tokens is 2 products of 2 x 50 x 8.
    plain = 3 * (2 * 768 + 2 * 2 * 50 * 8)
    assert Network("bert", BERT, 69, 50).operations() == plain
    assert Network("bert", BERT, 69, 50, masked=0.5).operations() == plain + 0.5 * 2 * 8 * (8 + 69)
    # Embeddings of 69 ids and 64 positions, and a square of the head.
    assert Network("bert", BERT, 69, 50).parameters() == 3 * 768 + 8 * (69 + 64 + 8)
    modern = BERT | {"global_every": 3, "local_window": 20}
    # Three matrices in the feed-forward part; one layer of three sees all 50 tokens, the others 20.
    assert Network("modernbert", modern, 69, 50).operations() == pytest.approx(3 * 2 * 1024 + 4 * 8 * (50 + 2 * 20))


def test_the_arithmetic_of_the_convolutions():
    assert Network("cnn", {"filters": 5, "width": 9}, 0, 100).operations() == 2 * 4 * 9 * 5
    sizes = {"filters": 5, "width": 9, "pool": 4, "hidden": 6}
    assert Network("cnn_lstm", sizes, 0, 100).operations() == 2 * (4 * 9 * 5 + 2 * 4 * 6 * 11 / 4)


def test_the_arithmetic_of_dnabert2_and_of_the_networks_of_expression():
    # Three matrices in the gated part: 4 x 8 x 8 + 3 x 8 x 32; no positions.
    assert Network("dnabert2", BERT, 69, 50).operations() == 3 * (2 * 1024 + 2 * 2 * 50 * 8)
    assert Network("dnabert2", BERT, 69, 50).parameters() == 3 * 1024 + 8 * (69 + 8)
    sizes = {"filters": [8, 4], "widths": [6, 3], "pools": [5, 2], "dense": [7]}
    # The second convolution runs at each fifth place; each tenth place has 4 x 7 weights of the dense layer.
    assert Network("xpresso", sizes, 0, 100).operations() == pytest.approx(2 * (4 * 6 * 8 + 8 * 3 * 4 / 5 + 4 * 7 / 10))
    sizes = {"embedding": 8, "widths": [3, 5], "pool": 10, "layers": 2, "heads": 2, "feedforward": 16}
    # Per nucleotide: letters, two convolutions, the layer that joins them; per bin of 10 nt the encoder, with attention
    # over 10 bins.
    nucleotide = 4 * 8 + (3 + 5) * 8 * 8 + 2 * 8 * 8
    encoder = 2 * (4 * 8 * 8 + 2 * 8 * 16 + 2 * 8 * 10)
    assert Network("alberto", sizes, 0, 100).operations() == pytest.approx(2 * (nucleotide + encoder / 10))
