"""Learning rates step by step: by hand, and as torch has them."""

import json
import math
from typing import Any

import pytest
import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from nucleobert.schedules import SCHEDULES
from nucleobert.training_plan import Settings

RATE = 0.08


def optimizer() -> AdamW:
    """Return an optimiser of two groups, as those with and without weight decay."""
    groups: list[dict[str, Any]] = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    return AdamW(groups, lr=RATE, betas=(0.9, 0.98))


def course(name: str, steps: int, warmup: float) -> list[tuple[float, float]]:
    """Return learning rate and beta 1 of every step; both groups must have the same."""
    of = optimizer()
    schedule = SCHEDULES[name](of, Settings(batch=1, learning_rate=RATE, warmup=warmup), steps)
    found = []
    for _ in range(steps):
        first, second = of.param_groups
        assert (first["lr"], first["betas"]) == (second["lr"], second["betas"])
        assert first["betas"][1] == 0.98
        found.append((first["lr"], first["betas"][0]))
        of.step()
        schedule.step()
    return found


def test_a_linear_rate_by_hand() -> None:
    # A warm-up of 25 % of 10 steps is 3 steps: thirds of the rate, then sevenths.
    shares = [0, 1 / 3, 2 / 3, *(left / 7 for left in range(7, 0, -1))]
    rates, betas = zip(*course("linear", 10, 0.25), strict=True)
    assert rates == pytest.approx([RATE * share for share in shares])
    assert set(betas) == {0.9}


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.3), (10, 0.3), (10, 0), (7, 0.5), (100, 0.1), (20, 0.97)])
def test_one_cycle_is_torchs(steps: int, warmup: float) -> None:
    of = optimizer()
    schedule = OneCycleLR(of, max_lr=RATE, total_steps=steps, pct_start=float(warmup))
    expected = []
    for _ in range(steps):
        expected.append((of.param_groups[0]["lr"], of.param_groups[0]["betas"][0]))
        of.step()
        schedule.step()
    assert course("one_cycle", steps, warmup) == expected


def test_one_cycle_by_hand() -> None:
    found = course("one_cycle", 11, 5 / 11)
    # Up in 4 steps, down in 6; in the middle of a cosine the mean of its ends.
    assert found[0] == pytest.approx((RATE / 25, 0.95))
    assert found[2] == pytest.approx((RATE * 26 / 50, 0.9))
    assert found[4] == pytest.approx((RATE, 0.85))
    assert found[7] == pytest.approx((RATE * (1 + 4e-6) / 2, 0.9))
    assert found[10] == pytest.approx((RATE / 250000, 0.95))


@pytest.mark.parametrize("steps", [2, 3, 7, 10])
def test_a_rise_may_end_with_the_first_or_the_last_step(steps: int) -> None:
    # Torch divides by 0 there; a little below, the first rate is the greatest, or all rise but the last, the least one.
    first, last = course("one_cycle", steps, 1 / steps), course("one_cycle", steps, 1)
    assert first[0] == pytest.approx((RATE, 0.85))
    assert first[-1] == pytest.approx((RATE / 250000, 0.95))
    assert last[0] == pytest.approx((RATE / 25, 0.95))
    assert [rate for rate, _ in last[:-1]] == sorted(rate for rate, _ in last[:-1])
    assert last[-1] == pytest.approx((RATE / 250000, 0.95))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_through_json(name: str) -> None:
    settings = Settings(batch=1, learning_rate=RATE / 3, warmup=0.3)
    of, again = optimizer(), optimizer()
    schedule, other = SCHEDULES[name](of, settings, 30), SCHEDULES[name](again, settings, 30)
    for step in range(30):
        if step == 17:
            other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
            again.load_state_dict(json.loads(json.dumps(of.state_dict())))
        if step >= 17:
            assert [*again.param_groups[1]["betas"]] == [*of.param_groups[1]["betas"]]
            assert again.param_groups[0]["lr"] == of.param_groups[0]["lr"]
            assert not math.isnan(of.param_groups[0]["lr"])
            again.step()
            other.step()
        of.step()
        schedule.step()
