"""Draw one task's benchmark: the AUROC of every arm with its interval, one panel per split.

Reads the benchmark's summary; writes SVG and PNG.
"""

import pandas as pd

from nucleobert.figures import new_figure, plot_benchmark, save_figure
from nucleobert.job import run_job
from nucleobert.statistics import auroc_tables


def main(*, summary: str, task: str, benchmark: str, benchmark_png: str) -> None:
    """Draw the panels of `task`."""
    tables = auroc_tables(pd.read_csv(summary, sep="\t", dtype=str, keep_default_na=False), task)
    arms = max(len(table) for table in tables.values())
    with new_figure(height=1.4 + 0.3 * arms) as figure:
        axes = figure.subplots(1, len(tables), sharex=True, sharey=True, squeeze=False)[0]
        plot_benchmark(axes, tables, "AUROC")
    save_figure(figure, benchmark, benchmark_png)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
