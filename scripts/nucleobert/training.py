"""The training loop, on transformers' Trainer: what pretraining and fine-tuning share.

The Trainer brings AdamW, mixed precision, accumulation and distribution; batches, schedule and checkpoints are those of
`trainer`, the choice of the best state and the log those of `monitor`. The same seed, number of threads and number of
processes give the same bytes, whether the training was interrupted or not.
"""

import logging
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from transformers.trainer_callback import PrinterCallback
from transformers.training_args import TrainingArguments

from nucleobert.cpu_kernels import keep_memory
from nucleobert.files import read_json, write_beside
from nucleobert.monitor import History, Monitor
from nucleobert.resuming import key_of, open_checkpoints
from nucleobert.trainer import Batch, Batches, BatchTrainer
from nucleobert.training_plan import Plan, Settings

logger = logging.getLogger(__name__)


def prepare_torch(threads: int, seed: int) -> None:
    """Set threads, seed and deterministic algorithms of this process, and that it keeps memory that it frees."""
    keep_memory()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def processes() -> tuple[int, int]:
    """Return this process's rank and the number of processes that train together."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True)
class Fit:
    """What came of a training.

    Attributes
    ----------
    history, best
        The evaluations, and the best of them.
    seconds
        Of training, evaluations left out.
    counts
        The batches' ``counts``, summed over all processes.
    """

    history: History
    best: dict[str, float]
    seconds: float
    steps: int
    counts: dict[str, int]

    def speed(self) -> dict[str, float]:
        """Return what `run.json` says of the speed."""
        counts = self.counts
        return {
            "steps": self.steps,
            "training_seconds": self.seconds,
            "tokens_per_second": counts["tokens"] / self.seconds,
            "padding_share": 1 - counts["tokens"] / counts["computed"],
        }


def fit(
    module: torch.nn.Module,
    model: torch.nn.Module,
    count: int,
    make: Callable[[NDArray[np.int64], int, float], Batch],
    *,
    name: str,
    settings: Settings,
    seed: int,
    evaluations: int | None,
    evaluate: Callable[[], dict[str, float]],
    checkpoints: Path | None = None,
    key: dict[str, Any] | None = None,
) -> Fit:
    """Train `model` in place and leave it in its best state.

    Parameters
    ----------
    module
        Holds `model` and returns the summed loss of a batch.
    count
        Rows to train on.
    make
        (rows, epoch, share of the steps done) -> a batch, always the same one for the same arguments.
    evaluations
        Evaluations in all; None means one an epoch.
    evaluate
        Returns ``dev_loss`` and whatever else the history shall hold.
    checkpoints
        Folder to go on from and to save to; None saves nothing.
    key
        What shapes the training; with another one the checkpoints there do not count.
    """
    rank, world = processes()
    plan = Plan(count, settings, seed, world * settings.accumulate)
    interval = plan.per_epoch if evaluations is None else math.ceil(plan.steps / evaluations)
    monitor = Monitor(name, model, settings, interval, plan.per_epoch, evaluate)
    with tempfile.TemporaryDirectory() as unused:
        arguments = TrainingArguments(
            output_dir=unused,
            max_steps=plan.steps,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=settings.accumulate,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            adam_beta1=settings.betas[0],
            adam_beta2=settings.betas[1],
            adam_epsilon=settings.epsilon,
            optim="adamw_torch_fused",
            bf16=settings.bf16,
            torch_compile=settings.compile,
            use_cpu=not torch.cuda.is_available(),
            dataloader_num_workers=settings.workers,
            seed=seed,
            remove_unused_columns=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        if world == 1:
            # Else the Trainer would split each batch over all GPUs of the machine: several GPUs take several processes.
            arguments._n_gpu = min(arguments.n_gpu, 1)
        trainer = BatchTrainer(
            settings,
            checkpoints,
            monitor,
            model=module,
            args=arguments,
            train_dataset=Batches(plan, settings.accumulate, rank, make),
            callbacks=[monitor],
        )
        trainer.remove_callback(PrinterCallback)
        monitor.trainer = trainer
        start = None
        if checkpoints is not None:
            if rank == 0:
                open_checkpoints(checkpoints, key_of(key or {}))
            trainer.barrier()
            start = open_checkpoints(checkpoints, key_of(key or {}))
        if start is not None:
            logger.info("%s goes on from its checkpoint of %s", name, start.name)
        if start is not None and read_json(start / "monitor.json")["finished"]:
            trainer._load_from_checkpoint(str(start))
        else:
            trainer.train(resume_from_checkpoint=None if start is None else str(start))
        names = sorted(trainer.counts)
        totals = trainer.over_processes(torch.tensor([trainer.counts[n] for n in names], device=arguments.device))
    monitor.restore_best()
    counts = dict(zip(names, totals.tolist(), strict=True))
    return Fit(
        monitor.history, monitor.history[monitor.best], monitor.seconds, int(monitor.history[-1]["step"]), counts
    )


def write_history(path: str | os.PathLike[str], history: History) -> None:
    """Write the evaluations as TSV, one line each."""
    with write_beside(path) as beside:
        pd.DataFrame(history).to_csv(beside, sep="\t", index=False, float_format="%.9g")
