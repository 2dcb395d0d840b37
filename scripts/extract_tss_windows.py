"""Cut the windows around the start of one transcript a gene.

Reads the indexed genome and the transcript table; writes the windows as BED, FASTA and Parquet.
"""

from typing import Any

import polars as pl

from nucleobert.genome import Genome
from nucleobert.job import run_job
from nucleobert.regions import choose_transcripts, tss_windows, write_regions


def main(
    *, genome: str, index: str, annotation: str, bed: str, fasta: str, parquet: str, settings: dict[str, Any]
) -> None:
    """Write the windows; `settings` holds size (nt) and, optionally, transcripts and gene_type."""
    chosen = choose_transcripts(
        pl.read_parquet(annotation),
        settings.get("transcripts", "longest"),
        settings.get("gene_type", "protein_coding"),
        place=annotation,
    )
    with Genome(genome, index) as opened:
        write_regions(tss_windows(chosen, opened, settings["size"]), bed, fasta, parquet)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
