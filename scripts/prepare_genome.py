"""Make the genome that all later steps read: an upper-case, uncompressed FASTA and its index.

Reads a FASTA, plain or gzipped; writes `genome` and its faidx `index`.
"""

from nucleobert import genome as genomes
from nucleobert.job import run_job


def main(*, fasta: str, genome: str, index: str) -> None:
    """Clean and index `fasta`."""
    genomes.prepare_genome(fasta, genome, index)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
