"""Divide a task's items into train, dev and test parts, and balance them; writes the split as TSV."""

from typing import Any

from nucleobert.job import run_job
from nucleobert.splits import make_split, read_items, write_split

# Settings of a split that concern the runs and the audit.
_OTHER = ("use_folds", "max_shared_kmer_share")


def main(*, dataset: str, split: str, settings: dict[str, Any], seed: int, threads: int = 1) -> None:
    """Write the split that `settings` describe; `seed` holds where they have none."""
    chosen = {"seed": seed} | {name: value for name, value in settings.items() if name not in _OTHER}
    write_split(split, make_split(read_items(dataset), **chosen, threads=threads))


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
