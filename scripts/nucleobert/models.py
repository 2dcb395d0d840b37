"""The neural architectures: how they are built, what they read, how they are saved and loaded.

A classifier has one logit, that of label 1; its score is the logit's sigmoid. BERT is the stock class of
transformers, so a saved folder loads with `AutoModelForSequenceClassification` (or `AutoModelForMaskedLM` after
pretraining); the CNN is a few lines of torch. A new architecture is one entry of `ARCHITECTURES`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from nucleobert.errors import InputError
from nucleobert.files import read_json, write_json
from nucleobert.masking import IGNORED
from nucleobert.tokens import (
    CLS,
    LETTERS,
    PAD,
    SEP,
    check_vocabulary,
    model_inputs,
    pad,
    vocabulary_size,
    write_tokenizer,
)

MARKER = "arm.json"
MAX_TOKENS = 512
_NEW_HEAD = ("bert.pooler.", "classifier.")
_OLD_HEADS = ("cls.", *_NEW_HEAD)

Codes = NDArray[np.uint8]
Batch = dict[str, torch.Tensor]


class Cnn(nn.Module):
    """A layer of motif detectors: convolution, ReLU, maximum and mean over the sequence, dropout, one logit.

    Parameters
    ----------
    filters
        Number of detectors.
    width
        Nucleotides that a detector reads.
    dropout
        Share of pooled values that are dropped in training.
    """

    def __init__(self, filters: int, width: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(len(LETTERS), filters, width, padding=width // 2)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * filters, 1)

    def forward(self, one_hot: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Return logits (n,) of one-hot sequences (n, 4, length); `inside` (n, length) is 0 on padding."""
        kept = inside[:, None]
        found = torch.relu(self.convolution(one_hot))[..., : one_hot.shape[-1]] * kept
        pooled = torch.cat([found.amax(-1), found.sum(-1) / kept.sum(-1)], dim=1)
        return self.output(self.dropout(pooled))[:, 0]


def _cnn_inputs(sequences: list[Codes], k: int | None) -> Batch:
    codes, lengths = pad(sequences)
    one_hot = (codes[:, None] == np.arange(len(LETTERS), dtype=np.uint8)[:, None]).astype(np.float32)
    inside = (np.arange(codes.shape[1]) < lengths[:, None]).astype(np.float32)
    return {"one_hot": torch.from_numpy(one_hot), "inside": torch.from_numpy(inside)}


def _build_cnn(sizes: dict[str, Any], k: int | None) -> nn.Module:
    return Cnn(**sizes)


def _save_cnn(model: nn.Module, folder: Path, k: int | None) -> None:
    assert isinstance(model, Cnn)
    filters, _, width = model.convolution.weight.shape
    write_json(folder / "config.json", {"filters": filters, "width": width, "dropout": model.dropout.p})
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")


def _load_cnn(folder: Path, k: int | None) -> nn.Module:
    model = Cnn(**read_json(folder / "config.json"))
    model.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
    return model


def _bert() -> Any:
    """Import transformers' BERT, which takes seconds, where it is needed; its progress bars stay out of the logs."""
    from transformers.models.bert import modeling_bert
    from transformers.utils import logging

    logging.disable_progress_bar()
    return modeling_bert


def bert_config(sizes: dict[str, Any], k: int, **more: Any) -> Any:
    """Return the configuration of a BERT of k-mers.

    Attention dropout is 0: with it torch leaves the fast attention kernel.

    Parameters
    ----------
    sizes
        ``hidden``, ``layers``, ``heads``, ``intermediate`` and ``dropout`` (of the hidden states).
    """
    if sizes["hidden"] % sizes["heads"]:
        raise InputError(
            "config: architectures.bert",
            f"hidden {sizes['hidden']} does not divide by heads {sizes['heads']}",
            "change one",
        )
    return _bert().BertConfig(
        vocab_size=vocabulary_size(k),
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["intermediate"],
        hidden_dropout_prob=sizes["dropout"],
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=MAX_TOKENS,
        pad_token_id=PAD,
        bos_token_id=CLS,
        eos_token_id=SEP,
        kmer=k,
        **more,
    )


# One logit; of the loss functions that transformers knows for it, the binary cross-entropy goes by this name.
_BINARY: dict[str, Any] = {"num_labels": 1, "problem_type": "multi_label_classification"}


def _build_bert(sizes: dict[str, Any], k: int | None) -> nn.Module:
    assert k is not None
    return _bert().BertForSequenceClassification(bert_config(sizes, k, **_BINARY))


def masked_language_model(sizes: dict[str, Any], k: int) -> nn.Module:
    """Return a BERT with random weights and the head for masked-language pretraining."""
    return _bert().BertForMaskedLM(bert_config(sizes, k))


class MaskedLoss(nn.Module):
    """A masked-language model that returns its loss, the head computed on the masked positions only."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, labels: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy over the positions of `labels` (n, tokens) that are not -100; 0 without any."""
        masked = labels != IGNORED
        states = self.model.bert(**inputs).last_hidden_state[masked]
        total = functional.cross_entropy(self.model.cls(states).float(), labels[masked], reduction="sum")
        return total / masked.sum().clamp(min=1)


def token_inputs(ids: NDArray[np.int64]) -> Batch:
    """Return a BERT's inputs for token ids (n, tokens); without padding the mask is left out, which is faster."""
    batch = {"input_ids": torch.from_numpy(ids)}
    if (ids == PAD).any():
        batch["attention_mask"] = torch.from_numpy((ids != PAD).astype(np.int64))
    return batch


def _bert_inputs(sequences: list[Codes], k: int | None) -> Batch:
    assert k is not None
    return token_inputs(model_inputs(sequences, k))


def save_bert(model: Any, folder: str | os.PathLike[str], k: int | None) -> None:
    """Write a BERT as a Hugging Face folder with its tokenizer files."""
    assert k is not None
    model.save_pretrained(folder)
    write_tokenizer(folder, k, MAX_TOKENS)


def _realigned(model: Any) -> Any:
    """Copy weights that lie in a mapped file to memory that torch aligned.

    The matrix kernels round differently by alignment; so a loaded model gives the bits that the saved one gave.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model


def _load_bert(folder: Path, k: int | None) -> nn.Module:
    return _realigned(_bert().BertForSequenceClassification.from_pretrained(folder))


def from_pretrained_encoder(folder: str | os.PathLike[str], k: int | None, dropout: float) -> nn.Module:
    """Return a classifier with the encoder of a pretrained folder and a new head.

    Raises
    ------
    InputError
        If the folder lacks its files, is of another k, or its weights are not exactly those of its encoder: weights
        that are missing would be random without a word.
    """
    from transformers.utils import logging

    for name in ("config.json", "model.safetensors"):
        if not Path(folder, name).is_file():
            raise InputError(Path(folder, name), "the file does not exist", "give a folder that pretraining wrote")
    assert k is not None
    check_vocabulary(folder, k)
    bert = _bert()
    config = bert.BertConfig.from_pretrained(
        folder, hidden_dropout_prob=dropout, attention_probs_dropout_prob=0.0, **_BINARY
    )
    if config.vocab_size != vocabulary_size(k):
        problem = f"a vocabulary of {config.vocab_size} tokens, not the {vocabulary_size(k)} of k = {k}"
        raise InputError(Path(folder, "config.json"), problem, "give a model of this k")
    config.kmer = k
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        model, report = bert.BertForSequenceClassification.from_pretrained(
            folder, config=config, output_loading_info=True, ignore_mismatched_sizes=True
        )
    finally:
        logging.set_verbosity(verbosity)
    wrong = {
        "missing": [name for name in report["missing_keys"] if not name.startswith(_NEW_HEAD)],
        "unexpected": [name for name in report["unexpected_keys"] if not name.startswith(_OLD_HEADS)],
        "of another shape": [str(entry[0]) for entry in report["mismatched_keys"]],
    }
    told = "; ".join(f"{len(names)} weights {kind} ({sorted(names)[0]}...)" for kind, names in wrong.items() if names)
    if told:
        raise InputError(Path(folder, "model.safetensors"), told, "give the folder of a complete BERT encoder")
    return _realigned(model)


@dataclass(frozen=True)
class Architecture:
    """What the pipeline needs to know of an architecture.

    Attributes
    ----------
    build
        (sizes, k) -> a classifier with random weights.
    inputs
        (code arrays, k) -> the keyword arguments of the classifier's `forward`.
    longest
        Nucleotides that it can read, or None for any number.
    """

    build: Callable[[dict[str, Any], int | None], nn.Module]
    inputs: Callable[[list[Codes], int | None], Batch]
    save: Callable[[Any, Path, int | None], None]
    load: Callable[[Path, int | None], nn.Module]
    longest: int | None


ARCHITECTURES = {
    "bert": Architecture(_build_bert, _bert_inputs, save_bert, _load_bert, MAX_TOKENS - 2),
    "cnn": Architecture(_build_cnn, _cnn_inputs, _save_cnn, _load_cnn, None),
}


def crop(codes: Codes, longest: int | None, where: str) -> Codes:
    """Keep the middle (``center``), the first (``start``) or the last (``end``) `longest` nucleotides of a sequence."""
    if longest is None or len(codes) <= longest:
        return codes
    first = {"start": 0, "center": (len(codes) - longest) // 2, "end": len(codes) - longest}[where]
    return codes[first : first + longest]


def logits_of(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the logits of label 1, shape (n,)."""
    output = model(**batch)
    return output if isinstance(output, torch.Tensor) else output.logits[:, 0]


def save_classifier(model: nn.Module, folder: str | os.PathLike[str], name: str, k: int | None, crop_at: str) -> None:
    """Write a classifier and the marker file that says what it is."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    ARCHITECTURES[name].save(model, Path(folder), k)
    write_json(Path(folder, MARKER), {"architecture": name, "k": k, "crop": crop_at})


def load_classifier(folder: str | os.PathLike[str]) -> tuple[Any, int | None]:
    """Load a saved classifier in evaluation mode, and its k (None where tokens are no k-mers)."""
    marker = read_json(Path(folder, MARKER))
    model = ARCHITECTURES[marker["architecture"]].load(Path(folder), marker["k"])
    return model.eval(), marker["k"]
