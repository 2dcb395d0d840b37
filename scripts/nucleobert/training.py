"""Training: masked-language pretraining and fine-tuning, on transformers' Trainer.

The Trainer brings the loop, AdamW, the schedule, mixed precision and distribution; this module brings the batches,
the losses, the evaluation, the choice of the best state and the log. The same seed and number of threads give the
same bytes.
"""

import copy
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers.trainer import Trainer
from transformers.trainer_callback import PrinterCallback, TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.training_args import TrainingArguments

from nucleobert.corpora import Corpus
from nucleobert.errors import InputError
from nucleobert.files import write_beside
from nucleobert.masking import IGNORED, Masked, item_keys, mask_spans
from nucleobert.models import (
    ARCHITECTURES,
    Batch,
    Codes,
    MaskedLoss,
    crop,
    from_pretrained_encoder,
    load_classifier,
    logits_of,
    masked_language_model,
    save_bert,
    save_classifier,
    token_inputs,
)
from nucleobert.prediction import scores_of
from nucleobert.tokens import FIRST_KMER, check_k, encode

logger = logging.getLogger(__name__)

_EVALUATIONS = 10
_EVALUATED_PIECES = 256
_EVALUATION_SEED = 0
_ROWS = 16
_LOG_SECONDS = 20.0

History = list[dict[str, float]]


@dataclass(frozen=True)
class Settings:
    """How a model is trained; the keys of the config's `pretraining` and `finetuning`.

    Attributes
    ----------
    epochs
        Passes over the training part.
    batch
        Sequences in a step.
    learning_rate, warmup, weight_decay
        AdamW; the rate rises linearly over the first `warmup` (a share of the steps) and falls linearly to 0.
    precision
        ``fp32`` or ``bf16`` (mixed).
    """

    epochs: float
    batch: int
    learning_rate: float
    warmup: float = 0.1
    weight_decay: float = 0.01
    precision: str = "fp32"


def prepare_torch(threads: int, seed: int) -> None:
    """Set the number of threads, the seed and deterministic algorithms for this process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def auroc(labels: NDArray[np.int8], scores: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve, ties counted half; NaN with one class only.

    >>> auroc(np.array([0, 1, 1]), np.array([0.2, 0.2, 0.9]))
    0.75
    """
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    if not len(positive) or not len(negative):
        return math.nan
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / 2 / len(negative))


class _Batches(torch.utils.data.Dataset):
    """Hands whole batches to the loader, which fetches by a list of indices; knows the epoch."""

    def __init__(
        self, count: int, make: Callable[[NDArray[np.int64], int], Batch], lengths: list[int] | None = None
    ) -> None:
        self._count, self._make, self.lengths, self.epoch = count, make, lengths, 0

    def __len__(self) -> int:
        return self._count

    def __getitems__(self, indices: list[int]) -> Batch:
        return self._make(np.asarray(indices, dtype=np.int64), self.epoch)


class _Trainer(Trainer):
    """The Trainer with a loss of its own, whose values since the last evaluation it keeps.

    Batches are drawn at random; where the data set tells its lengths, from sequences of like length, so that little is
    padded. (Not for labelled data: length may go with the label.)
    """

    def __init__(self, loss: Callable[[Any, Batch], torch.Tensor], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._own_loss = loss
        self.losses: list[torch.Tensor] = []

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        lengths = cast(_Batches, self.train_dataset).lengths
        if lengths is None:
            return super()._get_train_sampler(train_dataset)
        generator = torch.Generator().manual_seed(cast(int, self.args.data_seed))
        return LengthGroupedSampler(self.args.train_batch_size, lengths=lengths, generator=generator)

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        loss = self._own_loss(model, inputs)
        self.losses.append(loss.detach())
        return loss


class _Watch(TrainerCallback):
    """Evaluates every `interval` steps, keeps the state of least `dev_loss` (the first of equals), writes log lines."""

    def __init__(self, name: str, interval: int, evaluate: Callable[[Any], dict[str, float]]) -> None:
        self._name, self._interval, self._evaluate = name, interval, evaluate
        self.trainer: _Trainer
        self.dataset: _Batches
        self.history: History = []
        self.best: int | None = None
        self.state: dict[str, torch.Tensor] = {}
        self.evaluation_seconds = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._start = self._told = time.perf_counter()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.dataset.epoch = int(state.epoch or 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        step, last = state.global_step, state.max_steps
        if step % self._interval == 0 or step == last:
            self._evaluate_now(step, state.epoch, more["model"])
        elif time.perf_counter() - self._told > _LOG_SECONDS:
            self._tell(f"step {step} of {last}: loss {float(torch.stack(self.trainer.losses).mean()):.4f}", step, last)

    def _evaluate_now(self, step: int, epoch: float, model: Any) -> None:
        began = time.perf_counter()
        row = {"step": step, "epoch": round(epoch, 4), "train_loss": float(torch.stack(self.trainer.losses).mean())}
        self.trainer.losses.clear()
        row |= self._evaluate(model)
        self.evaluation_seconds += time.perf_counter() - began
        if self.best is None or row["dev_loss"] < self.history[self.best]["dev_loss"]:
            self.best = len(self.history)
            self.state = copy.deepcopy(model.state_dict())
        self.history.append(row)
        told = ", ".join(f"{key} {value:.4f}" for key, value in row.items() if key not in ("step", "epoch"))
        last = self.trainer.state.max_steps
        self._tell(f"step {step} of {last}: {told}", step, last)

    def _tell(self, text: str, step: int, last: int) -> None:
        self._told = time.perf_counter()
        rate = step / (self._told - self._start - self.evaluation_seconds)
        logger.info("%s %s; %.2f steps/s, %.0f s left", self._name, text, rate, (last - step) / rate)


@dataclass(frozen=True)
class Fit:
    """What came of a training: the evaluations, the best of them, and seconds without the evaluations."""

    history: History
    best: dict[str, float]
    seconds: float
    steps: int


def _fit(
    model: Any,
    dataset: _Batches,
    *,
    name: str,
    settings: Settings,
    seed: int,
    evaluations: int | None,
    loss: Callable[[Any, Batch], torch.Tensor],
    evaluate: Callable[[Any], dict[str, float]],
) -> Fit:
    """Train `model` in place and leave it in its best state; `evaluations` of None means one an epoch."""
    per_epoch = math.ceil(len(dataset) / settings.batch)
    steps = max(math.ceil(per_epoch * settings.epochs), 1)
    watch = _Watch(name, per_epoch if evaluations is None else math.ceil(steps / evaluations), evaluate)
    with tempfile.TemporaryDirectory() as unused:
        arguments = TrainingArguments(
            output_dir=unused,
            max_steps=steps,
            per_device_train_batch_size=settings.batch,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=math.ceil(settings.warmup * steps),
            weight_decay=settings.weight_decay,
            optim="adamw_torch_fused",
            bf16=settings.precision == "bf16",
            use_cpu=not torch.cuda.is_available(),
            seed=seed,
            data_seed=seed,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = _Trainer(
            loss,
            model=model,
            args=arguments,
            train_dataset=dataset,
            data_collator=lambda batch: batch,
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        watch.trainer, watch.dataset = trainer, dataset
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began - watch.evaluation_seconds
    assert watch.best is not None
    model.load_state_dict(watch.state)
    return Fit(watch.history, watch.history[watch.best], seconds, steps)


def write_history(path: str | os.PathLike[str], history: History) -> None:
    """Write the evaluations as TSV, one line each."""
    with write_beside(path) as beside:
        pd.DataFrame(history).to_csv(beside, sep="\t", index=False, float_format="%.9g")


@dataclass(frozen=True)
class Masking:
    """Share of nucleotides that are hidden, and nucleotides in a span."""

    mask_share: float = 0.15
    span: int = 3


@dataclass
class _Realised:
    """Counts what masking really hid."""

    tokens: int = 0
    masked_tokens: int = 0
    nucleotides: int = 0
    hidden_nucleotides: int = 0

    def add(self, masked: Masked) -> None:
        self.tokens += masked.token_count
        self.masked_tokens += int((masked.labels != IGNORED).sum())
        self.nucleotides += masked.nucleotide_count
        self.hidden_nucleotides += int(masked.hidden.sum())


def middle_kmers(
    hidden: NDArray[np.bool_], lengths: NDArray[np.int64], k: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return row, position and k-mer of each hidden nucleotide: the k-mer that holds it nearest to its middle.

    Parameters
    ----------
    hidden
        Shape (n, longest).
    lengths
        Nucleotides of each sequence, shape (n,).
    """
    rows, positions = np.nonzero(hidden)
    return rows, positions, np.clip(positions - k // 2, 0, lengths[rows] - k)


def letter_log_probabilities(kmers: torch.Tensor, offsets: NDArray[np.intp], k: int) -> torch.Tensor:
    """Return what predicted k-mers say of one of their letters, as log-probabilities of A, T, C, G, shape (m, 4).

    A letter's probability is that of all k-mers with the letter there, so the numbers of different k compare.

    Parameters
    ----------
    kmers
        Logits of the 4**k k-mers, shape (m, 4**k).
    offsets
        Which letter of the k-mer is asked for, shape (m,).
    """
    letters = kmers.new_empty(len(kmers), 4)
    for offset in np.unique(offsets):
        at = torch.from_numpy(np.flatnonzero(offsets == offset)).to(kmers.device)
        letters[at] = kmers[at].reshape(len(at), 4**offset, 4, -1).logsumexp(dim=(1, 3))
    return letters.log_softmax(-1)


def evaluate_masked(
    model: Any, batches: list[tuple[Masked, Codes, NDArray[np.int64]]], k: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Evaluate a masked-language model on masked batches (each with its codes (n, longest) and lengths (n,)).

    Returns
    -------
    ``dev_loss`` (nats per masked k-mer), ``accuracy`` and ``perplexity`` (per hidden nucleotide; 4 is no knowledge);
    and the last two for the baseline that always names the hidden nucleotides' frequencies.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    loss, count, surprise, right = 0.0, 0, 0.0, 0
    letters = np.zeros(4, dtype=np.int64)
    with torch.inference_mode():
        for masked, codes, lengths in batches:
            states = model.bert(**_on(device, token_inputs(masked.ids))).last_hidden_state
            labels = torch.from_numpy(masked.labels).to(device)
            at = labels != IGNORED
            loss += float(functional.cross_entropy(model.cls(states[at]), labels[at], reduction="sum"))
            count += int(at.sum())
            rows, positions, kmers = middle_kmers(masked.hidden, lengths, k)
            logits = model.cls(states[torch.from_numpy(rows), torch.from_numpy(kmers + 1)])[:, FIRST_KMER:]
            said = letter_log_probabilities(logits, positions - kmers, k).cpu()
            truth = torch.from_numpy(codes[rows, positions].astype(np.int64))
            surprise -= float(said.gather(1, truth[:, None]).sum())
            right += int((said.argmax(1) == truth).sum())
            letters += np.bincount(truth.numpy(), minlength=4)
    model.train(was_training)
    total = letters.sum()
    shares = letters[letters > 0] / total
    baseline = {"accuracy": float(shares.max()), "perplexity": math.exp(-float((shares * np.log(shares)).sum()))}
    return {"dev_loss": loss / count, "accuracy": right / total, "perplexity": math.exp(surprise / total)}, baseline


def _on(device: torch.device, batch: Batch) -> Batch:
    return {name: value.to(device) for name, value in batch.items()}


def pretrain(
    corpus: Corpus,
    folder: str | os.PathLike[str],
    *,
    k: int,
    sizes: dict[str, Any],
    settings: Settings,
    masking: Masking,
    seed: int,
) -> dict[str, Any]:
    """Train a masked-language model and write its folder: the model, the tokenizer files and `history.tsv`.

    The state with the least loss on the held-out pieces is kept. Their masks are the same for every epoch and seed, and
    are [MASK] throughout.

    Returns
    -------
    Results for `run.json`.
    """
    check_k(k, "config: systems.<system>.k")
    held_out = np.arange(corpus.held_out_from, len(corpus))
    if not held_out.size:
        raise InputError("the corpus", "it holds no pieces for evaluation", "build it from more than one sequence")
    if len(held_out) > _EVALUATED_PIECES:
        held_out = np.sort(np.random.default_rng(_EVALUATION_SEED).permutation(held_out)[:_EVALUATED_PIECES])
    spans: dict[str, Any] = {"k": k, "share": masking.mask_share, "span": masking.span}
    batches = []
    for start in range(0, len(held_out), _ROWS):
        part = held_out[start : start + _ROWS]
        codes, lengths = corpus.batch(part)
        keys = item_keys(_EVALUATION_SEED, 0, part)
        batches.append((mask_spans(codes, lengths, keys, **spans, masked_share=1, random_share=0), codes, lengths))
    realised = _Realised()

    def make(items: NDArray[np.int64], epoch: int) -> Batch:
        masked = mask_spans(*corpus.batch(items), item_keys(seed, epoch + 1, items), **spans)
        realised.add(masked)
        return token_inputs(masked.ids) | {"labels": torch.from_numpy(masked.labels)}

    model = masked_language_model(sizes, k)
    fit = _fit(
        MaskedLoss(model),
        _Batches(corpus.held_out_from, make, np.diff(corpus.offsets[: corpus.held_out_from + 1]).tolist()),
        name=f"pretraining k={k}",
        settings=settings,
        seed=seed,
        evaluations=_EVALUATIONS,
        loss=lambda wrapped, batch: wrapped(**batch),
        evaluate=lambda _: evaluate_masked(model, batches, k)[0],
    )
    save_bert(model, folder, k)
    write_history(Path(folder, "history.tsv"), fit.history)
    return {
        "best": fit.best,
        "majority_baseline": evaluate_masked(model, batches, k)[1],
        "evaluated_pieces": len(held_out),
        "realised_masked_token_share": realised.masked_tokens / realised.tokens,
        "realised_hidden_nucleotide_share": realised.hidden_nucleotides / realised.nucleotides,
        "steps": fit.steps,
        "training_seconds": fit.seconds,
        "tokens_per_second": realised.tokens / fit.seconds,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


@dataclass(frozen=True)
class Items:
    """Labelled sequences: letter codes and labels (0 or 1)."""

    codes: list[Codes]
    labels: NDArray[np.int8]


def read_items(items: str, split: str, fold: int) -> dict[str, Items]:
    """Read the train and dev items of a fold, in the split's order; test items are filtered out in the reading.

    Raises
    ------
    InputError
        If a part is empty or the train part has one class only.
    """
    rows = pd.read_csv(split, sep="\t", dtype={"id": str, "fold": int, "part": str}, usecols=["id", "fold", "part"])
    ids = {part: rows.loc[(rows["fold"] == fold) & (rows["part"] == part), "id"].tolist() for part in ("train", "dev")}
    for part, of_part in ids.items():
        if not of_part:
            raise InputError(f"{split}, fold {fold}", f"no {part} items", "make the split again with fewer folds")
    wanted = [("id", "in", {*ids["train"], *ids["dev"]})]
    table = pd.read_parquet(items, columns=["id", "sequence", "label"], filters=wanted).set_index("id")
    parts = {}
    for part in ids:
        rows = table.loc[ids[part]]
        parts[part] = Items([encode(sequence) for sequence in rows["sequence"]], rows["label"].to_numpy(dtype=np.int8))
    if len(np.unique(parts["train"].labels)) < 2:
        raise InputError(f"{split}, fold {fold}", "the train items have one class only", "give the task both classes")
    return parts


def finetune(
    parts: dict[str, Items],
    folder: str | os.PathLike[str],
    *,
    architecture: str,
    sizes: dict[str, Any],
    settings: Settings,
    crop_at: str,
    k: int | None,
    init: str | None,
    seed: int,
) -> dict[str, Any]:
    """Train a classifier on ``parts["train"]`` and write its folder and `history.tsv`.

    The epoch with the least loss on ``parts["dev"]`` is kept, the earliest of equals: a model that still gives every
    item nearly the same score can rank a few dev items well, but its loss tells. What is reported of it is computed
    from the saved files.

    Parameters
    ----------
    init
        Folder of a pretrained encoder; None starts from random weights.

    Returns
    -------
    Results for `run.json`. `collapsed` says that all dev items got the same class.
    """
    kind = ARCHITECTURES[architecture]
    cropped = {part: [crop(codes, kind.longest, crop_at) for codes in items.codes] for part, items in parts.items()}
    train, dev = parts["train"].labels, parts["dev"].labels
    tokens = 0

    def make(rows: NDArray[np.int64], epoch: int) -> Batch:
        nonlocal tokens
        chosen = [cropped["train"][row] for row in rows]
        tokens += sum(len(codes) - (k or 1) + 1 for codes in chosen)
        return kind.inputs(chosen, k) | {"labels": torch.from_numpy(train[rows].astype(np.float32))}

    def loss(model: Any, batch: Batch) -> torch.Tensor:
        labels = batch.pop("labels")
        return functional.binary_cross_entropy_with_logits(logits_of(model, batch).float(), labels)

    def evaluate(model: Any) -> dict[str, float]:
        scores = scores_of(model, architecture, cropped["dev"], k)
        surprise = -np.log(np.clip(np.where(dev == 1, scores, 1 - scores), 1e-12, None))
        return {"dev_loss": float(surprise.mean()), "dev_auroc": auroc(dev, scores)}

    model = kind.build(sizes, k) if init is None else from_pretrained_encoder(init, k, sizes["dropout"])
    fit = _fit(
        model,
        _Batches(len(train), make),
        name=f"fine-tuning {architecture}",
        settings=settings,
        seed=seed,
        evaluations=None,
        loss=loss,
        evaluate=evaluate,
    )
    save_classifier(model, folder, architecture, k, crop_at)
    write_history(Path(folder, "history.tsv"), fit.history)
    saved, _ = load_classifier(folder)
    scores = scores_of(saved, architecture, cropped["dev"], k)
    collapsed = len(np.unique(scores >= 0.5)) == 1
    if collapsed:
        logger.warning("the model collapsed: every dev item gets class %d", scores[0] >= 0.5)
    return {
        "best": fit.best | evaluate(saved),
        "collapsed": collapsed,
        "cropped": {
            part: sum(len(c) > len(d) for c, d in zip(parts[part].codes, cropped[part], strict=True)) for part in parts
        },
        "items": {part: {"n": len(i.labels), "positive": int((i.labels == 1).sum())} for part, i in parts.items()},
        "steps": fit.steps,
        "training_seconds": fit.seconds,
        "sequences_per_second": len(train) * settings.epochs / fit.seconds,
        "tokens_per_second": tokens / fit.seconds,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
