"""Label TSS windows by the median expression of their gene.

Reads TSS windows (Parquet) and GDC STAR-counts files, one a sample; writes the items as Parquet.
"""

from nucleobert.datasets import from_expression, write_items
from nucleobert.job import run_job


def main(*, regions: str, samples: list[str], dataset: str, low: float = 0.5, high: float = 0.5) -> None:
    """Write the items, positive above the quantile `high` of the medians, negative up to the quantile `low`."""
    write_items(dataset, *from_expression(regions, samples, low, high))


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
