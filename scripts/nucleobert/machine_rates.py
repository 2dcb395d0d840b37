"""What was measured on a machine, and what follows from it for other sizes: time and memory of trainings and jobs.

A measured speed is turned into operations a second, which stand between the measured sizes for other ones. What was
not measured is None.
"""

import math
from typing import Any

import numpy as np

from nucleobert.network_arithmetic import Network
from nucleobert.variants import ENCODERS

# fp32 weights, gradients and the two moments of AdamW.
_BYTES_PER_PARAMETER = 16
_GIB = 2**30

Rates = dict[str, Any]


def _kind(architecture: str) -> str:
    """Return what is measured together: encoders stand for each other, a network on letters for itself."""
    return "encoder" if architecture in ENCODERS else architecture


class Machine:
    """What was measured on a machine.

    Parameters
    ----------
    rates
        Its part of the table of rates, see resources/rates.yaml; empty if nothing was measured.
    """

    def __init__(self, rates: Rates) -> None:
        self.rates = rates

    def _points(self, network: Network, precision: str) -> list[tuple[Network, Rates]]:
        """Return the measured trainings that can stand for a network's, by rising operations.

        Of several with the same operations it is the one of the nearest length.
        """
        wanted = "fp32" if precision == "auto" else precision
        dropout = network.sizes.get("attention_dropout", 0) > 0
        found: dict[float, tuple[Network, Rates]] = {}

        def away(of: Network) -> float:
            return abs(math.log(of.length / network.length))

        for point in self.rates.get("training", []):
            sizes = point["sizes"]
            like = _kind(point["architecture"]) == _kind(network.architecture)
            if like and point["precision"] == wanted and (sizes.get("attention_dropout", 0) > 0) == dropout:
                keys = {key: point[key] for key in ("architecture", "sizes", "vocabulary", "length", "masked")}
                measured = Network(**keys)
                other = found.setdefault(measured.operations(), (measured, point))
                if away(measured) < away(other[0]):
                    found[measured.operations()] = (measured, point)
        return [found[operations] for operations in sorted(found)]

    def training_seconds(self, network: Network, tokens: float, precision: str) -> float | None:
        """Return the seconds of training on so many tokens; None where nothing like the network was measured."""
        points = self._points(network, precision)
        if not points:
            return None
        known = [math.log(measured.operations()) for measured, _ in points]
        speeds = [math.log(measured.operations() * point["tokens_per_second"]) for measured, point in points]
        speed = math.exp(np.interp(math.log(network.operations()), known, speeds))
        return tokens * network.operations() / speed

    def training_gib(self, network: Network, rows: float | None, precision: str) -> float | None:
        """Return the memory of a process that trains on `rows` sequences at once (GiB), None where it is unknown."""
        points = [pair for pair in self._points(network, precision) if (pair[0].masked > 0) == (network.masked > 0)]
        if not points or rows is None:
            return None
        place = math.log(network.operations())
        measured, point = min(points, key=lambda pair: abs(math.log(pair[0].operations()) - place))
        process = self.rates["process_gib"] * _GIB
        fixed = process + _BYTES_PER_PARAMETER * measured.parameters()
        activations = point["rows"] * measured.length * measured.width()
        each = max(point["gib"] * _GIB - fixed, 0) / activations
        variable = each * rows * network.length * network.width()
        return (process + _BYTES_PER_PARAMETER * network.parameters() + variable) / _GIB

    def job_seconds(self, rule: str, jobs: int, sequences: float | None) -> float | None:
        """Return the seconds of the jobs of a rule that trains nothing; None where it was not measured."""
        rates = self.rates.get("jobs", {}).get(rule)
        if rates is None or ("seconds_per_million" in rates and sequences is None):
            return None
        return jobs * rates.get("seconds", 0) + rates.get("seconds_per_million", 0) * (sequences or 0) / 1e6

    def job_gib(self, rule: str) -> float | None:
        """Return the peak memory of a rule's job (GiB); None where it was not measured."""
        return self.rates.get("jobs", {}).get(rule, {}).get("gib")
