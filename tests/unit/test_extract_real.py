"""The extraction on real data: equal, record by record, to a slow computation and to bedtools.

Defects of the data that matter here: the annotation's CDS includes the stop codon; 14 of its transcript ids stand at
several places; the site table is genome-wide and has two sites of two bases, neither of them on the genome slice.
"""

import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import extract_site_windows
import extract_utr3_patches
import prepare_genome
import read_annotation
import slow_extraction as slow
from nucleobert.errors import InputError

FASTA = "genome/grch38.chr20_chr21.first10M.fa.gz"
GTF = "annotation/refgene_mane.chr20_chr21.first10M.gencode_style.gtf.gz"
SITES = "m6a/miclip_m6a.linder2015.hg38.bed.gz"


@pytest.fixture(scope="module")
def prepared(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("real")
    paths = {name: str(folder / name) for name in ("genome", "index", "annotation")}
    prepare_genome.main(fasta=str(real_data / FASTA), genome=paths["genome"], index=paths["index"])
    read_annotation.main(gtf=str(real_data / GTF), index=paths["index"], annotation=paths["annotation"])
    return paths


@pytest.fixture(scope="module")
def letters(real_data: Path) -> dict[str, str]:
    return slow.read_genome(real_data / FASTA)


@pytest.fixture(scope="module")
def transcripts(real_data: Path) -> dict[str, dict[str, Any]]:
    return slow.read_transcripts(real_data / GTF)


@pytest.fixture
def out(tmp_path: Path) -> dict[str, str]:
    return {name: str(tmp_path / f"out.{name}") for name in ("bed", "fasta", "parquet")}


def getfasta(prepared: dict[str, str], bed: str, tmp_path: Path) -> list[tuple[str, str]]:
    genome = tmp_path / "g.fa"
    genome.symlink_to(prepared["genome"])
    Path(f"{genome}.fai").symlink_to(prepared["index"])
    command = ["bedtools", "getfasta", "-fi", str(genome), "-bed", bed, "-s", "-split", "-nameOnly", "-tab"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [(line.split("\t")[0][:-3], line.split("\t")[1]) for line in output.splitlines()]


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["id"])


def test_utr3_patches(
    prepared: dict[str, str],
    letters: dict[str, str],
    transcripts: dict[str, dict[str, Any]],
    out: dict[str, str],
    tmp_path: Path,
) -> None:
    extract_utr3_patches.main(**prepared, **out, settings={"size": 510, "min_size": 30})
    rows = pl.read_parquet(out["parquet"])
    assert by_id(rows.to_dicts()) == by_id(slow.patches(letters, transcripts, 510, 30))
    assert getfasta(prepared, out["bed"], tmp_path) == rows.select("id", "sequence").rows()
    assert slow.read_genome(Path(out["fasta"])) == dict(rows.select("id", "sequence").rows())
    assert (rows.height, rows["gene_id"].n_unique()) == (407, 117)


def test_utr3_is_the_annotations_own(prepared: dict[str, str], real_data: Path) -> None:
    """The file's UTR lines leave the stop codon out, as the 3'UTR here does: the two must agree."""
    past: dict[str, set[int]] = {}
    for line in slow.text_of(real_data / GTF).splitlines():
        fields = line.split("\t")
        if len(fields) == 9 and fields[2] == "UTR":
            name = fields[8].split('transcript_id "')[1].split('"')[0]
            past.setdefault(name, set()).update(range(int(fields[3]) - 1, int(fields[4])))
    annotation = pl.read_parquet(prepared["annotation"]).filter(pl.col("cds_start").is_not_null())
    compared = 0
    for row in annotation.rows(named=True):
        exonic = {p for s, e in zip(row["exon_starts"], row["exon_ends"], strict=True) for p in range(s, e)}
        own = past.get(row["transcript_id"], set()) & exonic
        if row["strand"] == "+":
            assert {p for p in own if p >= row["cds_start"]} == {p for p in exonic if p >= row["cds_end"]}
        else:
            assert {p for p in own if p < row["cds_end"]} == {p for p in exonic if p < row["cds_start"]}
        compared += 1
    assert compared == 281


def test_site_windows(
    real_data: Path,
    prepared: dict[str, str],
    letters: dict[str, str],
    transcripts: dict[str, dict[str, Any]],
    out: dict[str, str],
    tmp_path: Path,
) -> None:
    extract_site_windows.main(
        **prepared, **out, sites=str(real_data / SITES), settings={"flank": 250, "off_genome": "drop"}
    )
    rows = pl.read_parquet(out["parquet"])
    fields = [
        line.split("\t") for line in slow.text_of(real_data / SITES).splitlines() if line and not line.startswith("#")
    ]
    sites = [(field[0], int(field[1]), field[5]) for field in fields if int(field[2]) <= 10_000_000]
    assert by_id(rows.to_dicts()) == by_id(slow.windows(letters, transcripts, sites, 250))
    assert getfasta(prepared, out["bed"], tmp_path) == rows.select("id", "sequence").rows()
    assert rows.height == 75
    assert set(rows["sequence"].str.slice(250, 1)) == {"A"}


def test_sites_off_the_slice_are_refused_unless_dropped(
    real_data: Path, prepared: dict[str, str], out: dict[str, str]
) -> None:
    with pytest.raises(
        InputError, match=r"hg38\.bed\.gz:8: the contig 'chr1' is not in the genome; .*off_genome: drop"
    ):
        extract_site_windows.main(**prepared, **out, sites=str(real_data / SITES), settings={"flank": 250})
    assert not any(Path(path).exists() for path in out.values())
