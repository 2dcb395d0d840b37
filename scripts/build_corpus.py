"""Packs region tables and FASTA files into a corpus for pretraining: letter codes, offsets and a card."""

from nucleobert.corpora import build_corpus, write_corpus
from nucleobert.job import run_job


def main(
    *,
    regions: list[str] | None = None,
    fastas: list[str] | None = None,
    codes: str,
    offsets: str,
    card: str,
    max_length: int = 510,
    held_out: float = 0.02,
    seed: int,
) -> None:
    """Write the corpus of `regions` (Parquet) and `fastas`, cut into pieces of at most `max_length` nt."""
    corpus, content = build_corpus(regions or [], fastas or [], max_length=max_length, held_out=held_out, seed=seed)
    write_corpus(corpus, content, codes, offsets, card)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
