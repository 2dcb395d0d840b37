"""Fit one of the simple arms (prior, lookup, composition, kmer_logistic) on one fold. Test items are not read.

Reads the items and the split; writes a folder with `arm.json`, `weights.npz` and `run.json` for each seed.
"""

from typing import Any

from nucleobert.baselines import fit
from nucleobert.files import write_beside
from nucleobert.job import run_job
from nucleobert.provenance import RunRecord
from nucleobert.splits import items_of, read_items, read_split


def main(
    *, dataset: str, split: str, audit: str | None = None, model: str, arm: dict[str, Any], fold: int, seeds: list[int]
) -> None:
    """Fit the arm; write the folder `model` with one folder a seed.

    `audit` is not read: that it exists says that the split passed.
    """
    table, rows = read_items(dataset), read_split(split)
    train, dev = (items_of(table, rows, fold, part) for part in ("train", "dev"))
    with write_beside(model) as folder:
        for seed in seeds:
            record = RunRecord({"arm": arm, "fold": fold, "seed": seed}, [dataset, split])
            place = folder / f"seed{seed}"
            results = fit(arm, train, dev, seed=seed, folder=place)
            record.write(place / "run.json", **results)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
