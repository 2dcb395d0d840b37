"""Explain the test items of every fold by that fold's model: signed scores per nucleotide.

Reads the items, the split and the folders ``.../fold<f>/seed<s>`` of one variant, of which the first seed of each fold
is used; writes the attributions and, for a few items of the first fold, checks of what they are worth.
"""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nucleobert.attribution import (
    DELETED_SHARES,
    choose_items,
    deletion_curve,
    fold_kmers,
    integrated_gradients,
    load_reader,
    randomised_weights,
    write_attributions,
)
from nucleobert.files import write_json
from nucleobert.job import run_job
from nucleobert.provenance import find_runs
from nucleobert.training import prepare_torch

CHECKED_PER_LABEL = 10
logger = logging.getLogger(__name__)


def main(
    *,
    dataset: str,
    split: str,
    models: list[str],
    scores: str,
    checks: str,
    steps: int,
    baseline: str,
    max_items: int | None,
    seed: int,
    threads: int,
) -> None:
    """Explain at most `max_items` test items per label and fold (None: all)."""
    prepare_torch(threads, seed)
    table = pd.read_parquet(dataset, columns=["id", "sequence", "label", "site"]).set_index("id")
    parts = pd.read_csv(split, sep="\t", dtype={"id": str, "cluster": str}, keep_default_na=False)
    first: dict[int, tuple[int, Path]] = {}
    for run in find_runs(models):
        fold, of_seed = (int(re.sub(r"\D", "", name)) for name in run.parts[-2:])
        first.setdefault(fold, (of_seed, run))

    rows, traces = [], []
    of_checks: dict[str, Any] = {}
    for fold, (of_seed, folder) in first.items():
        reader = load_reader(folder)
        test = table.loc[parts.loc[(parts["part"] == "test") & (parts["fold"] == fold), "id"]]
        test = test.iloc[choose_items(test["label"], max_items, np.random.default_rng([seed, fold]))]
        read, explanations = [], []
        for name, sequence, label, site in zip(test.index, test["sequence"], test["label"], test["site"], strict=True):
            ids, offsets = reader.read(sequence)
            explanation = integrated_gradients(reader.model, ids, baseline=baseline, steps=steps)
            trace = np.full(len(sequence), np.nan)
            trace[offsets] = fold_kmers(explanation.tokens[1:-1], reader.k)
            traces.append(trace)
            rows.append(
                {
                    "ids": name,
                    "fold": fold,
                    "seed": of_seed,
                    "label": label,
                    "length": len(sequence),
                    "site": site,
                    "completeness_error": explanation.completeness_error,
                    "logit": explanation.logit,
                    "baseline_logit": explanation.baseline_logit,
                }
            )
            read.append(ids)
            explanations.append(explanation)
        logger.info("fold %d: %d items explained", fold, len(test))
        if not of_checks:
            rng = np.random.default_rng(seed)
            chosen = choose_items(test["label"], CHECKED_PER_LABEL, rng)
            some, known = [read[i] for i in chosen], [explanations[i] for i in chosen]
            correlation = randomised_weights(reader.model, some, known, baseline=baseline, steps=steps, seed=seed)
            highest, random = deletion_curve(reader.model, some, known, baseline=baseline, rng=rng)
            of_checks = {
                "items_checked": len(chosen),
                "randomised_weights": {"correlation": correlation},
                "deletion": {"shares": list(DELETED_SHARES), "highest_first": highest, "random_order": random},
            }

    columns = pd.DataFrame(rows)
    padded = np.full((len(traces), max(map(len, traces))), np.nan, dtype=np.float32)
    for row, trace in zip(padded, traces, strict=True):
        row[: trace.size] = trace
    kinds: dict[str, Any] = {"ids": np.str_, "label": np.int8}
    kinds |= dict.fromkeys(("fold", "seed", "length", "site"), np.int32)
    kinds |= dict.fromkeys(("completeness_error", "logit", "baseline_logit"), np.float32)
    arrays = {name: np.array(columns[name].tolist(), dtype=kind) for name, kind in kinds.items()}
    write_attributions(scores, arrays | {"scores": padded})
    errors, change = columns["completeness_error"].abs(), (columns["logit"] - columns["baseline_logit"]).abs()
    completeness = {
        "items": len(columns),
        "median_error": errors.median(),
        "largest_error": errors.max(),
        "median_change": change.median(),
    }
    write_json(checks, of_checks | {"completeness": completeness, "steps": steps, "baseline": baseline})


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
