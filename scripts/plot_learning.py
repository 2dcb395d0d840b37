"""Draw the learning curves of the neural arms on one split: AUROC on the dev part by epoch, every run.

Reads history.tsv in the folders ``<variant>/fold<f>/seed<s>`` at or below `models`; writes SVG and PNG.
"""

import pandas as pd

from nucleobert.figures import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, new_figure, plot_curves, save_figure
from nucleobert.job import run_job
from nucleobert.provenance import find_runs

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BLACK)
COLUMNS = 3


def main(*, models: list[str], learning: str, learning_png: str) -> None:
    """Draw one panel per variant."""
    curves: dict[str, list[tuple[pd.Series, pd.Series]]] = {}
    for folder in find_runs(models):
        history = pd.read_csv(folder / "history.tsv", sep="\t")
        curves.setdefault(folder.parts[-3], []).append((history["epoch"], history["dev_auroc"]))
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    with new_figure(height=0.5 + 2.1 * rows) as figure:
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for ax, (variant, runs), colour in zip(axes, curves.items(), COLOURS * len(curves), strict=False):
            plot_curves(ax, runs, colour)
            ax.axhline(0.5, color="#666666", linewidth=0.8, linestyle=(0, (4, 3)))
            ax.set_title(variant)
            ax.set_xlabel("epoch")
        for ax in axes[len(curves) :]:
            ax.set_axis_off()
        for ax in axes[::columns]:
            ax.set_ylabel("AUROC, dev part")
    save_figure(figure, learning, learning_png)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
