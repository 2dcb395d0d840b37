"""Cut the windows around single-base sites, on the sites' strand.

Reads the indexed genome, the transcript table and a site table; writes the windows as BED, FASTA and Parquet.
"""

from typing import Any

import polars as pl

from nucleobert.genome import Genome
from nucleobert.job import run_job
from nucleobert.regions import read_sites, site_windows, write_regions


def main(
    *,
    genome: str,
    index: str,
    annotation: str,
    sites: str,
    bed: str,
    fasta: str,
    parquet: str,
    settings: dict[str, Any],
) -> None:
    """Write the windows; `settings` holds flank (nt) and, optionally, off_genome, wide and edge."""
    table = read_sites(sites)
    with Genome(genome, index) as opened:
        windows = site_windows(
            table,
            pl.read_parquet(annotation),
            opened,
            settings["flank"],
            off_genome=settings.get("off_genome", "error"),
            wide=settings.get("wide", "error"),
            edge=settings.get("edge", "pad"),
        )
    write_regions(windows, bed, fasta, parquet)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
