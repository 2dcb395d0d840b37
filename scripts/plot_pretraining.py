"""Draw the pretraining of every corpus and k: accuracy and perplexity of hidden nucleotides, on pieces held out.

Reads history.tsv and run.json in the folders ``.../<corpus>/k<k>``; writes SVG and PNG.
"""

from pathlib import Path

import pandas as pd

from nucleobert.figures import BLUE, GREEN, ORANGE, PURPLE, new_figure, plot_curves, save_figure
from nucleobert.files import read_json
from nucleobert.job import run_job

COLOURS = {3: BLUE, 4: GREEN, 5: PURPLE, 6: ORANGE}
STYLES = ("-", "--", ":", "-.")
PANELS = {"accuracy": "accuracy, hidden nucleotides", "perplexity": "perplexity, hidden nucleotides"}


def main(*, pretrained: list[str], pretraining: str, pretraining_png: str) -> None:
    """Draw both panels; the grey line is what naming the commonest nucleotide, or their frequencies, reaches."""
    corpora = sorted({Path(folder).parts[-2] for folder in pretrained})
    with new_figure(height=2.9) as figure:
        axes = dict(zip(PANELS, figure.subplots(1, 2), strict=True))
        for folder in map(Path, pretrained):
            corpus, k = folder.parts[-2], int(folder.name.removeprefix("k"))
            history = pd.read_csv(folder / "history.tsv", sep="\t")
            baseline = read_json(folder / "run.json")["majority_baseline"]
            for column, ax in axes.items():
                style = STYLES[corpora.index(corpus) % len(STYLES)]
                plot_curves(
                    ax, [(history["epoch"], history[column])], COLOURS[k], label=f"{corpus}, k = {k}", style=style
                )
                ax.axhline(baseline[column], color="#666666", linewidth=0.8, linestyle=(0, (4, 3)))
        for column, ax in axes.items():
            ax.set_ylabel(PANELS[column])
            ax.set_xlabel("epoch")
        figure.legend(*axes["accuracy"].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    save_figure(figure, pretraining, pretraining_png)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
