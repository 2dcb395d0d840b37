"""Turn a GTF into a table of transcripts.

Reads a GTF, plain or gzipped, and the genome's index; writes Parquet with one row a transcript that lies on the genome.
"""

from nucleobert import annotation as annotations
from nucleobert.annotation import OffGenome
from nucleobert.files import write_beside
from nucleobert.genome import read_lengths
from nucleobert.job import run_job


def main(*, gtf: str, index: str, annotation: str, off_genome: OffGenome = "error") -> None:
    """Write the transcripts of `gtf` that lie on the genome of `index` to `annotation`."""
    transcripts = annotations.restrict_to_genome(annotations.read_annotation(gtf), read_lengths(index), off_genome, gtf)
    with write_beside(annotation) as beside:
        transcripts.write_parquet(beside, compression="zstd")


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
