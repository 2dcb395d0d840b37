"""Trains a neural arm on the train items of one fold; the dev items choose the epoch. Test items are not read.

Writes a folder with the model, `arm.json`, `history.tsv` and `run.json` for each seed.
"""

from typing import Any

from nucleobert.files import write_beside
from nucleobert.job import run_job
from nucleobert.provenance import RunRecord


def main(
    *,
    dataset: str,
    split: str,
    audit: str | None = None,
    init: str | list[str] | None = None,
    model: str,
    arm: dict[str, Any],
    k: int | None,
    fold: int,
    seeds: list[int],
    threads: int,
) -> None:
    """Train the arm with its `architecture`, `sizes` and `finetuning`; write the folder `model`, one folder a seed.

    `audit` is not read: that it exists says that the split passed. `init` is a pretrained folder, or empty. The seeds
    share a process, whose start takes as long as training a small model.
    """
    from nucleobert.training import Settings, finetune, prepare_torch, read_items

    start = init if isinstance(init, str) else None
    read = [f"{start}/{name}" for name in ("config.json", "model.safetensors", "vocab.txt")] if start else []
    tuning = dict(arm["finetuning"])
    crop = tuning.pop("crop", "center")
    parts = read_items(dataset, split, fold)
    with write_beside(model) as folder:
        for seed in seeds:
            settings = {"arm": arm, "k": k, "fold": fold, "seed": seed, "threads": threads, "init": start}
            record = RunRecord(settings, [dataset, split, *read])
            place = folder / f"seed{seed}"
            prepare_torch(threads, seed)
            results = finetune(
                parts,
                place,
                architecture=arm["architecture"],
                sizes=arm["sizes"],
                settings=Settings(**tuning),
                crop_at=crop,
                k=k,
                init=start,
                seed=seed,
            )
            record.write(place / "run.json", **results)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
