"""What is measured is estimated as measured, other sizes from it, and the rest is unknown."""

import pytest

from nucleobert.machine_rates import Machine
from nucleobert.network_arithmetic import Network

BERT = {"hidden": 8, "layers": 3, "heads": 2, "intermediate": 32, "attention_dropout": 0.0, "max_tokens": 64}
POINT = {
    "architecture": "bert",
    "sizes": BERT,
    "vocabulary": 69,
    "length": 50,
    "masked": 0.25,
    "rows": 4,
    "precision": "fp32",
    "tokens_per_second": 1000,
    "gib": 2.0,
}


def test_a_measured_training_is_estimated_as_measured():
    machine = Machine({"process_gib": 0.5, "training": [POINT]})
    network = Network("bert", BERT, 69, 50, 0.25)
    assert machine.training_seconds(network, 5000, "fp32") == pytest.approx(5)
    assert machine.training_gib(network, 4, "fp32") == pytest.approx(2)
    # Twice the rows take twice what is not process (0.5 GiB) and weights.
    fixed = 0.5 + 16 * network.parameters() / 2**30
    assert machine.training_gib(network, 8, "fp32") == pytest.approx(fixed + 2 * (2 - fixed))


def test_of_equal_arithmetic_the_nearest_length_counts():
    cnn = {"architecture": "cnn", "sizes": {"filters": 5, "width": 9}, "vocabulary": 0, "masked": 0}
    points = [POINT | cnn | {"length": length, "tokens_per_second": speed} for length, speed in ((100, 10), (900, 30))]
    machine = Machine({"process_gib": 0.5, "training": points})
    seconds = [machine.training_seconds(Network("cnn", cnn["sizes"], 0, n), 60, "fp32") for n in (80, 250, 350, 5000)]
    assert seconds == pytest.approx([6, 6, 2, 2])


def test_between_two_measured_sizes_the_speed_of_arithmetic_lies_between():
    large = BERT | {"hidden": 64, "intermediate": 256}
    points = [POINT, POINT | {"sizes": large, "tokens_per_second": 900}]
    machine = Machine({"process_gib": 0.5, "training": points})
    speeds = []
    for hidden in (8, 24, 64):
        network = Network("bert", BERT | {"hidden": hidden, "intermediate": 4 * hidden}, 69, 50, 0.25)
        speeds.append(network.operations() / machine.training_seconds(network, 1, "fp32"))
    assert speeds[0] < speeds[1] < speeds[2]


@pytest.mark.parametrize(
    ("architecture", "sizes", "precision"),
    [
        ("bert", BERT, "bf16"),
        ("bert", BERT | {"attention_dropout": 0.1}, "fp32"),
        ("cnn", {"filters": 5, "width": 9}, "fp32"),
    ],
)
def test_what_was_not_measured_is_unknown(architecture, sizes, precision):
    machine = Machine({"process_gib": 0.5, "training": [POINT]})
    network = Network(architecture, sizes, 69, 50)
    assert machine.training_seconds(network, 1, precision) is None
    assert machine.training_gib(network, 1, precision) is None
    assert Machine({}).job_seconds("prepare_genome", 1, None) is None
