"""Rank the words of the explained items by their mean attribution.

Reads the attributions of one variant and the items' sequences; writes one row per word.
"""

import pandas as pd

from nucleobert.files import write_beside
from nucleobert.job import run_job
from nucleobert.motifs import rank_kmers, read_attributions


def main(*, dataset: str, scores: str, motifs: str, kmer: int) -> None:
    """Rank words of `kmer` nucleotides."""
    arrays = read_attributions(scores)
    sequences = pd.read_parquet(dataset, columns=["id", "sequence"]).set_index("id")["sequence"]
    table = rank_kmers(
        sequences.loc[arrays["ids"]].tolist(),
        [row[:length] for row, length in zip(arrays["scores"], arrays["length"], strict=True)],
        arrays["label"].tolist(),
        kmer,
    )
    with write_beside(motifs) as beside:
        table.to_csv(beside, sep="\t", index=False, float_format="%.9g")


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
