"""Draw how much of each arm's AUROC on the published split is left on the grouped one.

Reads the benchmark's summary; writes SVG and PNG.
"""

import pandas as pd

from nucleobert.figures import new_figure, plot_leak, save_figure
from nucleobert.job import run_job
from nucleobert.statistics import auroc_tables


def main(*, summary: str, task: str, published: str, grouped: str, leak: str, leak_png: str) -> None:
    """Draw the arms of `task` on the splits named `published` and `grouped` side by side."""
    tables = auroc_tables(pd.read_csv(summary, sep="\t", dtype=str, keep_default_na=False), task)
    with new_figure(height=1.3 + 0.36 * len(tables[published])) as figure:
        plot_leak(figure.subplots(), tables[published], tables[grouped], "AUROC")
    save_figure(figure, leak, leak_png)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
