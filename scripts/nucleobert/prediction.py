"""Scores of saved neural classifiers."""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nucleobert.files import read_json
from nucleobert.models import ARCHITECTURES, MARKER, Batch, Codes, crop, load_classifier, logits_of
from nucleobert.tokens import encode

_ROWS = 32


def scores_of(model: torch.nn.Module, name: str, sequences: list[Codes], k: int | None) -> NDArray[np.float64]:
    """Return P(label 1) of each cropped code array, shape (n,), in single precision and without dropout."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, len(sequences), _ROWS):
            batch: Batch = ARCHITECTURES[name].inputs(sequences[start : start + _ROWS], k)
            logits.append(logits_of(model, {key: value.to(device) for key, value in batch.items()}).double().cpu())
    model.train(training)
    return torch.sigmoid(torch.cat(logits)).numpy()


def predict(folder: str | os.PathLike[str], sequences: list[str]) -> NDArray[np.float64]:
    """Return P(label 1) of each sequence, shape (n,), by the classifier in a folder."""
    marker = read_json(Path(folder, MARKER))
    model, k = load_classifier(folder)
    longest = ARCHITECTURES[marker["architecture"]].longest
    codes = [crop(encode(sequence), longest, marker["crop"]) for sequence in sequences]
    return scores_of(model, marker["architecture"], codes, k)
