"""Say for each planted truth of the demo whether the workflow found it.

Reads the demo's truth, the benchmark's summary and the motif tables ``.../<task>/<split>/<variant>.motifs.tsv``; writes
one row per planted motif and explained variant. A truth is found in the scores when the interval of the test AUROC
lies above 0.5, and in the attributions when a piece of the motif is among the first words.
"""

from pathlib import Path

import pandas as pd

from nucleobert.files import read_json, write_beside
from nucleobert.job import run_job
from nucleobert.motifs import TOP, planted_rank

COLUMNS = (
    *("task", "motif", "split", "arm", "auroc", "ci_low", "ci_high", "found_auroc"),
    *("motif_rank", "motif_words", "found_motif"),
)


def main(*, truth: str, summary: str, motifs: list[str], planted: str) -> None:
    """Compare the tables with the truth; a planted task that was not run is said to be `not run`."""
    scores = pd.read_csv(summary, sep="\t", dtype=str, keep_default_na=False)
    scores = scores[scores["metric"] == "auroc"].set_index(["task", "split", "arm"])
    rows = []
    for task, planting in read_json(truth)["tasks"].items():
        row = {"task": task, "motif": planting["motif"], "found_auroc": "not run", "found_motif": "not run"}
        tables = [path for path in map(Path, motifs) if path.parent.parent.name == task]
        rows += [row] * (not tables)
        for path in tables:
            split, arm = path.parent.name, path.name.removesuffix(".motifs.tsv")
            words = pd.read_csv(path, sep="\t")
            rank = planted_rank(words, planting["motif"])
            score = scores.loc[[(task, split, arm)]].iloc[0]
            above_chance = pd.to_numeric(score["ci_low"], errors="coerce") > 0.5
            rows.append(
                row
                | {"split": split, "arm": arm, "auroc": score["mean"]}
                | {"ci_low": score["ci_low"], "ci_high": score["ci_high"]}
                | {"motif_rank": str(rank or ""), "motif_words": str(len(words))}
                | {"found_auroc": "yes" if above_chance else "no"}
                | {"found_motif": "yes" if rank and rank <= TOP else "no"}
            )
    with write_beside(planted) as beside:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(beside, sep="\t", index=False)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
