"""How the learning rate changes in the course of a training."""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from transformers.optimization import get_linear_schedule_with_warmup

from nucleobert.training_plan import Settings


def linear(optimizer: Optimizer, settings: Settings, steps: int) -> LRScheduler:
    """Rise linearly from 0 over the warm-up, then fall linearly to 0."""
    return get_linear_schedule_with_warmup(optimizer, math.ceil(settings.warmup * steps), steps)


def one_cycle(optimizer: Optimizer, settings: Settings, steps: int) -> LRScheduler:
    """Rise along a cosine from 1/25 of the rate over the warm-up, then fall along one to 1/250,000 of it.

    Beta 1 of AdamW goes the other way, from 0.95 to 0.85 and back, whatever `betas` says. All this is torch's default.
    """
    share = float(settings.warmup)
    if share * steps in (1, steps):
        # torch divides by 0 where the rise ends exactly with the first or the last step.
        share -= 1e-9
    return OneCycleLR(optimizer, settings.learning_rate, total_steps=steps, pct_start=share)


SCHEDULES: dict[str, Callable[[Optimizer, Settings, int], LRScheduler]] = {"linear": linear, "one_cycle": one_cycle}
