"""Label the records of a FASTA file of positives and one of negatives; writes the items as Parquet."""

from nucleobert.datasets import from_fasta, write_items
from nucleobert.job import run_job


def main(*, positive: str, negative: str, dataset: str, flank: int | None = None) -> None:
    """Write the items; sequences of 2 * `flank` + 1 nt have their site in the centre."""
    write_items(dataset, *from_fasta(positive, negative, flank))


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
