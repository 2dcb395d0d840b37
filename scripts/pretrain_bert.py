"""Pretrains a BERT on a packed corpus by masked-language modelling.

Writes a Hugging Face folder with tokenizer files, `history.tsv` and `run.json`.
"""

from typing import Any

from nucleobert.corpora import read_corpus
from nucleobert.files import write_beside
from nucleobert.job import run_job
from nucleobert.provenance import RunRecord


def main(
    *,
    codes: str,
    offsets: str,
    card: str,
    model: str,
    k: int,
    architecture: dict[str, Any],
    training: dict[str, Any],
    seed: int,
    threads: int,
) -> None:
    """Train with `architecture` (sizes) and `training` (the config's `pretraining`); write the folder `model`."""
    from nucleobert.training import Masking, Settings, prepare_torch, pretrain

    settings = {"k": k, "architecture": architecture, "training": training, "seed": seed, "threads": threads}
    record = RunRecord(settings, [codes, offsets, card])
    masking = {key: training[key] for key in ("mask_share", "span")}
    prepare_torch(threads, seed)
    with write_beside(model) as folder:
        results = pretrain(
            read_corpus(codes, offsets, card),
            folder,
            k=k,
            sizes=architecture,
            settings=Settings(**{key: value for key, value in training.items() if key not in masking}),
            masking=Masking(**masking),
            seed=seed,
        )
        record.write(folder / "run.json", **results)


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
