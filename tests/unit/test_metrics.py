"""Metrics against scikit-learn, hand-worked cases, and weights as repeated rows."""

import doctest

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleobert import metrics
from nucleobert.metrics import METRICS

ORACLES = {
    "auroc": oracle.roc_auc_score,
    "auprc": oracle.average_precision_score,
    "accuracy": lambda y, s: oracle.accuracy_score(y, s > 0.5),
    "mcc": lambda y, s: oracle.matthews_corrcoef(y, s > 0.5),
    "f1": lambda y, s: oracle.f1_score(y, s > 0.5),
    "precision": lambda y, s: oracle.precision_score(y, s > 0.5),
    "recall": lambda y, s: oracle.recall_score(y, s > 0.5),
    "brier": oracle.brier_score_loss,
}


def test_doctests():
    assert doctest.testmod(metrics).attempted > 0
    assert doctest.testmod(metrics).failed == 0


@pytest.mark.parametrize("name", ORACLES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_integer_weights_equal_repeated_rows_in_scikit_learn(name, data):
    rows = data.draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 3)), min_size=4, max_size=25)
    )
    rows += [(0, 1, 1), (1, 1, 1), (0, 5, 1), (1, 5, 1)]
    labels, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores / 6
    expected = ORACLES[name](np.repeat(labels, weights), np.repeat(scores, weights))
    assert METRICS[name](labels, scores, weights)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_rows_of_weights_and_of_scores_are_independent(name):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40)
    scores = rng.integers(0, 9, (5, 40)) / 8
    weights = rng.integers(0, 4, (5, 40))
    together = METRICS[name](labels, scores, weights)
    alone = [METRICS[name](labels, s, w)[0] for s, w in zip(scores, weights, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-12)
    np.testing.assert_allclose(
        METRICS[name](labels, scores[0], weights), [METRICS[name](labels, scores[0], w)[0] for w in weights]
    )


def test_calibration_error_by_hand():
    # bin 0.2-0.3: mean score 0.25, observed 0.5; bin 0.9-1.0: mean score 1.0, observed 1.0
    assert metrics.ece([0, 1, 1, 1], [0.25, 0.25, 1.0, 1.0])[0] == pytest.approx(0.5 * 0.25)


def test_a_score_of_one_half_is_not_called_positive():
    assert metrics.recall([1, 1], [0.5, 0.6])[0] == 0.5


@pytest.mark.parametrize("name", ["auroc", "auprc", "mcc"])
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_undefined_not_zero(name, label):
    assert np.isnan(METRICS[name]([label] * 4, [0.1, 0.6, 0.7, 0.2])[0])


def test_undefined_where_nothing_is_called_or_nothing_is_positive():
    assert np.isnan(metrics.precision([0, 1], [0.1, 0.2])[0])
    assert np.isnan(metrics.mcc([0, 1], [0.1, 0.2])[0])
    assert np.isnan(metrics.recall([0, 0], [0.1, 0.9])[0])
    assert np.isnan(metrics.f1([0, 0], [0.1, 0.9])[0])
    assert metrics.f1([0, 1], [0.1, 0.2])[0] == 0


def test_a_resample_that_lost_one_class_is_undefined_alone():
    values = metrics.auroc([0, 1], [0.1, 0.9], [[1, 1], [0, 2]])
    assert values[0] == 1
    assert np.isnan(values[1])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 labels"):
        metrics.auroc([0, 1, 1], [0.1, 0.2])
