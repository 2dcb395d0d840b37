"""Label transcript ends by where their gene's RNA is found.

Reads transcript ends (Parquet) and a table of gene_id and location; writes the items as Parquet.
"""

from nucleobert.datasets import from_localisation, write_items
from nucleobert.job import run_job


def main(*, regions: str, locations: str, dataset: str, positive: str) -> None:
    """Write the items, positive where the location `positive` is among the gene's."""
    write_items(dataset, *from_localisation(regions, locations, positive))


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
