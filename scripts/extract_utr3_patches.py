"""Cut the spliced 3'UTRs of the chosen transcripts into patches that do not overlap.

Reads the indexed genome and the transcript table; writes the patches as BED, FASTA and Parquet.
"""

from typing import Any

import polars as pl

from nucleobert.genome import Genome
from nucleobert.job import run_job
from nucleobert.regions import choose_transcripts, utr3_patches, write_regions


def main(
    *, genome: str, index: str, annotation: str, bed: str, fasta: str, parquet: str, settings: dict[str, Any]
) -> None:
    """Write the patches; `settings` holds size and, optionally, min_size (nt), transcripts and gene_type."""
    chosen = choose_transcripts(
        pl.read_parquet(annotation),
        settings.get("transcripts", "longest"),
        settings.get("gene_type", "protein_coding"),
        need_utr3=True,
        place=annotation,
    )
    with Genome(genome, index) as opened:
        write_regions(utr3_patches(chosen, opened, settings["size"], settings.get("min_size", 1)), bed, fasta, parquet)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
