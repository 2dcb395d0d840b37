"""Label reader-bound site windows by a value of their gene.

Reads site windows (Parquet), the reader's peaks (BED6) and a table of values by gene; writes the items as Parquet.
"""

from nucleobert.datasets import from_sites, write_items
from nucleobert.job import run_job


def main(*, regions: str, readers: str, values: str, dataset: str, column: str, threshold: float) -> None:
    """Write the items, positive where the gene's value in `column` is at least `threshold`."""
    write_items(dataset, *from_sites(regions, readers, values, column, threshold))


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
