"""transformers' Trainer with batches, schedule, loss and checkpoints of our own.

A batch is a dictionary with what the module takes, and beside it ``counts`` (numbers to add up) and ``weight`` (what
the module's summed loss is divided by: masked tokens, or items).
"""

import math
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset
from transformers.trainer import Trainer

from nucleobert.files import read_json, write_beside, write_json
from nucleobert.monitor import Monitor
from nucleobert.resuming import drop_older, load_optimizer, load_tensors, place, save_optimizer, save_tensors
from nucleobert.schedules import SCHEDULES
from nucleobert.training_plan import Plan, Settings

Batch = dict[str, Any]


class Batches(Dataset[Batch]):
    """The micro-batches of this process, in order, of the whole training."""

    def __init__(
        self, plan: Plan, accumulate: int, rank: int, make: Callable[[NDArray[np.int64], int, float], Batch]
    ) -> None:
        self._plan, self._accumulate, self._rank, self._make = plan, accumulate, rank, make

    def __len__(self) -> int:
        return self._plan.steps * self._accumulate

    def __getitem__(self, index: int) -> Batch:
        step, turn = divmod(index, self._accumulate)
        rows, epoch = self._plan.rows(step, self._rank * self._accumulate + turn)
        return self._make(rows, epoch, step / self._plan.steps)


class BatchTrainer(Trainer):
    """The Trainer with batches, schedule, loss and checkpoints of our own.

    Parameters
    ----------
    checkpoints
        Folder of the checkpoints; None saves none.
    arguments
        Those of the Trainer.
    """

    def __init__(self, settings: Settings, checkpoints: Path | None, monitor: Monitor, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._settings, self.checkpoints, self._monitor = settings, checkpoints, monitor
        self.loss_is_scaled_for_ga = True
        self.losses: list[torch.Tensor | float] = []
        self.weights = self.last_weight = 0
        self.counts: Counter[str] = Counter()

    def get_train_dataloader(self) -> DataLoader[Batch]:
        workers = self.args.dataloader_num_workers
        return DataLoader(
            cast(Any, self.train_dataset),
            batch_size=1,
            collate_fn=lambda batch: batch[0],
            num_workers=workers,
            pin_memory=self.args.device.type == "cuda",
            generator=torch.Generator(),
            prefetch_factor=4 if workers else None,
        )

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        schedule = SCHEDULES[self._settings.schedule]
        self.lr_scheduler = cast(Any, schedule(cast(Optimizer, self.optimizer), self._settings, num_training_steps))
        return cast(LRScheduler, self.lr_scheduler)

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor:
        weight = torch.tensor(sum(batch["weight"] for batch in batch_samples), dtype=torch.float64, device=device)
        return self.over_processes(weight).clamp(min=1)

    def over_processes(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum of the value over all processes."""
        return cast(torch.Tensor, self.accelerator.reduce(value)) if self.args.world_size > 1 else value

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        self.counts.update(inputs.pop("counts"))
        self.last_weight = inputs.pop("weight")
        self.weights += self.last_weight
        total = model(**inputs)
        self.losses.append(total.detach())
        # The gradients are averaged over the processes: the factor makes that a sum.
        return total * (self.args.world_size / num_items_in_batch).to(total.dtype)

    def mean_loss(self) -> float:
        """Return the loss since the last call, over all processes."""
        both = torch.tensor([math.fsum(map(float, self.losses)), self.weights], dtype=torch.float64)
        total, weight = self.over_processes(both.to(self.args.device)).tolist()
        self.losses, self.weights = [], 0
        return total / max(weight, 1)

    # Checkpoints

    def barrier(self) -> None:
        """Wait for the other processes."""
        if self.args.world_size > 1:
            self.accelerator.wait_for_everyone()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        assert self.checkpoints is not None
        rank = self.args.process_index
        final = place(self.checkpoints, self.state.global_step)
        with write_beside(final) if rank == 0 else nullcontext(final.with_name(f".{final.name}.part")) as folder:
            if rank == 0:
                folder.mkdir()
                save_tensors(self._monitor.kept(), folder / "model.safetensors")
                save_tensors(self._monitor.state, folder / "best.safetensors")
                save_optimizer(self.optimizer, folder)
                write_json(folder / "scheduler.json", cast(Any, self.lr_scheduler).state_dict())
                write_json(folder / "monitor.json", self._monitor.record())
                self.state.save_to_json(str(folder / "trainer_state.json"))
            self.barrier()
            random = {"cpu": torch.get_rng_state()}
            if self.args.device.type == "cuda":
                random["cuda"] = torch.cuda.get_rng_state()
            save_tensors(random, folder / f"random{rank}.safetensors")
            write_json(folder / f"losses{rank}.json", [[*map(float, self.losses)], self.weights, dict(self.counts)])
            self.barrier()
        if rank == 0:
            drop_older(self.checkpoints, final)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self._monitor.load(Path(resume_from_checkpoint))
        losses, self.weights, counts = read_json(Path(resume_from_checkpoint, f"losses{self.args.process_index}.json"))
        self.losses, self.counts = list(losses), Counter(counts)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_optimizer(self.optimizer, Path(checkpoint))
            cast(Any, self.lr_scheduler).load_state_dict(read_json(Path(checkpoint, "scheduler.json")))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            random = load_tensors(Path(checkpoint, f"random{self.args.process_index}.safetensors"))
            torch.set_rng_state(random["cpu"])
            if "cuda" in random:
                torch.cuda.set_rng_state(random["cuda"])
