"""Cut the 3' ends of spliced transcripts of one type, for example of lncRNAs.

Reads the indexed genome and the transcript table; writes the ends as BED, FASTA and Parquet.
"""

from typing import Any

import polars as pl

from nucleobert.genome import Genome
from nucleobert.job import run_job
from nucleobert.regions import choose_transcripts, transcript_ends, write_regions


def main(
    *, genome: str, index: str, annotation: str, bed: str, fasta: str, parquet: str, settings: dict[str, Any]
) -> None:
    """Write the ends; `settings` holds size (nt) and, optionally, transcripts and gene_type."""
    chosen = choose_transcripts(
        pl.read_parquet(annotation),
        settings.get("transcripts", "longest"),
        settings.get("gene_type", "lncRNA"),
        place=annotation,
    )
    with Genome(genome, index) as opened:
        write_regions(transcript_ends(chosen, opened, settings["size"]), bed, fasta, parquet)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
