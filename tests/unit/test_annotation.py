"""GTF to transcripts: the three conventions, copies, bad lines, contigs."""

import gzip
import logging
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import read_annotation as script
from nucleobert.annotation import ANNOTATION_SCHEMA, check_contigs, read_annotation, restrict_to_genome
from nucleobert.errors import InputError

EXONS = [(5, 20), (25, 35), (40, 55)]
GENE = 'gene_id "{gene}"; gene_type "protein_coding"; gene_name "N";'
TRANSCRIPT = 'gene_id "{gene}"; transcript_id "{name}"; gene_type "protein_coding"; gene_name "N"; ' + (
    'transcript_type "protein_coding"; level 2; tag "basic"; tag "MANE_Select";'
)


def line(feature: str, start: int, end: int, strand: str, attributes: str, chrom: str = "chr1") -> str:
    """A GTF line; start and end are given 0-based, half-open."""
    return "\t".join((chrom, "T", feature, str(start + 1), str(end), ".", strand, ".", attributes))


def gencode(strand: str, gene: str = "G1", name: str = "T1") -> list[str]:
    """CDS without the stop codon, which is split over two exons; 3' UTR lines with it; exons in transcript order."""
    cds = [(8, 19)] if strand == "+" else [(42, 51)]
    stop = [(19, 20), (25, 27)] if strand == "+" else [(40, 42), (34, 35)]
    utr = [(5, 8), (19, 20), (25, 35), (40, 55)] if strand == "+" else [(51, 55), (40, 42), (25, 35), (5, 20)]
    of = TRANSCRIPT.format(gene=gene, name=name)
    return [
        line("gene", 5, 55, strand, GENE.format(gene=gene)),
        line("transcript", 5, 55, strand, of),
        *(line("exon", *exon, strand, of) for exon in (EXONS if strand == "+" else EXONS[::-1])),
        *(line("CDS", *part, strand, of) for part in cds),
        *(line("stop_codon", *part, strand, of) for part in stop),
        *(line("UTR", *part, strand, of) for part in utr),
    ]


def refseq(strand: str) -> list[str]:
    """NCBI's way: CDS with the stop codon, no stop_codon lines, types only on gene and transcript lines."""
    cds = [(8, 20), (25, 27)] if strand == "+" else [(40, 51), (34, 35)]
    ids = 'gene_id "G1"; transcript_id "T1"; '
    return [
        line("gene", 5, 55, strand, 'gene_id "G1"; transcript_id ""; gene "N"; gene_biotype "protein_coding"; '),
        line("transcript", 5, 55, strand, ids + 'gene "N"; tag "basic"; transcript_biotype "mRNA"; tag "MANE_Select";'),
        *(line("exon", *exon, strand, ids) for exon in EXONS),
        *(line("CDS", *part, strand, ids) for part in cds),
    ]


def ensembl(strand: str) -> list[str]:
    """As GENCODE, but with biotypes, versions apart and three_prime_utr lines past the stop codon."""
    renamed = [
        text.replace("gene_type", "gene_biotype").replace("transcript_type", "transcript_biotype")
        for text in gencode(strand)
        if "\tUTR\t" not in text
    ]
    utr = [(27, 35), (40, 55)] if strand == "+" else [(25, 34), (5, 20)]
    return [*renamed, *(line("three_prime_utr", *part, strand, 'gene_id "G1"; transcript_id "T1";') for part in utr)]


def written(tmp_path: Path, lines: list[str]) -> Path:
    path = tmp_path / "a.gtf"
    path.write_text("##format: gtf\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("convention", [gencode, refseq, ensembl])
@pytest.mark.parametrize(("strand", "cds"), [("+", (8, 27)), ("-", (34, 51))])
def test_conventions_give_one_table(
    tmp_path: Path, convention: Callable[[str], list[str]], strand: str, cds: tuple[int, int]
) -> None:
    annotation = read_annotation(written(tmp_path, convention(strand)))
    assert annotation.schema == ANNOTATION_SCHEMA
    assert annotation.to_dicts() == [
        {
            "gene_id": "G1",
            "gene_name": "N",
            "gene_type": "protein_coding",
            "transcript_id": "T1",
            "transcript_type": "protein_coding",
            "chrom": "chr1",
            "start": 5,
            "end": 55,
            "strand": strand,
            "exon_starts": [5, 25, 40],
            "exon_ends": [20, 35, 55],
            "cds_start": cds[0],
            "cds_end": cds[1],
            "tags": ["basic", "MANE_Select"],
        }
    ]


def test_gzip_noncoding_and_file_order(tmp_path: Path) -> None:
    noncoding = [text for text in gencode("-", "G2", "A0") if "\tCDS\t" not in text and "\tstop_codon\t" not in text]
    path = tmp_path / "a.gtf.gz"
    path.write_bytes(gzip.compress("\n".join([*gencode("+"), "", *noncoding]).encode()))
    annotation = read_annotation(path)
    assert annotation["transcript_id"].to_list() == ["T1", "A0"]
    assert annotation["cds_start"].to_list() == [8, None]


def test_without_transcript_lines(tmp_path: Path) -> None:
    lines = [text for text in gencode("+") if "\ttranscript\t" not in text and "\tgene\t" not in text]
    whole = read_annotation(written(tmp_path, gencode("+")))
    assert read_annotation(written(tmp_path, lines)).equals(whole)


def test_attribute_names_are_matched_whole(tmp_path: Path) -> None:
    before = 'havana_gene_id "WRONG"; my_tag "WRONG"; '
    lines = [text.replace("gene_id", before + "gene_id", 1) for text in gencode("+")]
    annotation = read_annotation(written(tmp_path, lines))
    assert annotation["gene_id"].to_list() == ["G1"]
    assert annotation["tags"].to_list() == [["basic", "MANE_Select"]]


def test_copies_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    moved = [text.replace("chr1\t", "chr2\t") for text in gencode("-")]
    par = [text.replace("chr1\t", "chrY\t") for text in gencode("+", "G1_PAR_Y", "T1_PAR_Y")]
    with caplog.at_level(logging.INFO):
        annotation = read_annotation(written(tmp_path, [*gencode("+"), *moved, *moved, *par]))
    assert annotation.equals(read_annotation(written(tmp_path, gencode("+"))))
    assert "1 transcripts of the pseudoautosomal regions dropped" in caplog.text
    assert "1 transcript ids stand at several places; the first was kept, 2 copies dropped" in caplog.text


GOOD = line("exon", 5, 20, "+", TRANSCRIPT.format(gene="G1", name="T1"))
BAD_GTF = {
    "eight columns": (GOOD.rpartition("\t")[0], ":3: 8 tab-separated columns, a GTF line has 9"),
    "spaces": (GOOD.replace("\t", " "), ":3: 1 tab-separated columns"),
    "no number": (GOOD.replace("\t6\t", "\tsix\t"), ":3: start 'six' and end '20'"),
    "start past end": (GOOD.replace("\t6\t", "\t21\t"), ":3: start '21' and end '20'"),
    "start at 0": (GOOD.replace("\t6\t", "\t0\t"), ":3: start '0'"),
    "no strand": (GOOD.replace("\t+\t", "\t.\t"), ":3: the strand is '.'"),
    "no gene": (line("exon", 5, 20, "+", 'transcript_id "T1";'), ":3: the attribute gene_id is missing"),
    "no transcript": (line("CDS", 5, 20, "+", 'gene_id "G1";'), ":3: the attribute transcript_id is missing"),
    "GFF3": (line("exon", 5, 20, "+", "ID=exon:1;Parent=T1;gene_id=G1"), ":3: the attribute gene_id is missing"),
}


@pytest.mark.parametrize("case", BAD_GTF)
def test_bad_lines_are_named(tmp_path: Path, case: str) -> None:
    bad, message = BAD_GTF[case]
    path = written(tmp_path, [GOOD, bad])
    with pytest.raises(InputError) as error:
        read_annotation(path)
    assert f"{path}{message}" in str(error.value)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_annotation(tmp_path / "none.gtf")
    for content in (b"", b"# only a comment\n", (line("gene", 5, 9, "+", GENE) + "\n").encode()):
        (tmp_path / "empty.gtf").write_bytes(content)
        with pytest.raises(InputError, match=r"empty\.gtf: there are no exon lines"):
            read_annotation(tmp_path / "empty.gtf")
    cut = tmp_path / "cut.gtf.gz"
    cut.write_bytes(gzip.compress("\n".join(gencode("+") * 200).encode())[:-20])
    with pytest.raises(InputError, match=r"cut\.gtf\.gz: the gzip stream is damaged"):
        read_annotation(cut)


@pytest.mark.parametrize(
    "second", [GOOD, GOOD.replace("chr1", "chr2"), line("exon", 30, 40, "-", TRANSCRIPT.format(gene="G1", name="T1"))]
)
def test_exons_that_do_not_fit_together(tmp_path: Path, second: str) -> None:
    with pytest.raises(InputError, match="transcript 'T1': its exons overlap, or lie on several"):
        read_annotation(written(tmp_path, [GOOD, second]))


def test_contigs() -> None:
    with pytest.raises(InputError, match=r"^a.gtf: .* this file names 'chr20', the genome '20'; .* 'chr'"):
        check_contigs(["chr20"], {"20": 9}, "a.gtf")
    with pytest.raises(InputError, match="this file names 'MT', the genome 'chrMT'"):
        check_contigs(["7", "MT"], {"chr9": 1, "chrMT": 1}, "a.gtf")
    with pytest.raises(InputError, match=r"none of its contigs \(a, b, c, \.\.\.\) is in the genome \(x\)"):
        check_contigs("abcd", {"x": 1}, "a.gtf")
    assert check_contigs(["chr1", "chrUn", "chr1"], {"chr1": 5, "chr2": 7}, "a.gtf") == ["chrUn"]


def test_restrict_to_genome(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [*gencode("+"), *(text.replace("chr1\t", "chr2\t") for text in gencode("+", "G2", "T2"))]
    annotation = read_annotation(written(tmp_path, lines))
    assert restrict_to_genome(annotation, {"chr1": 55, "chr2": 55}, "error", "a.gtf").equals(annotation)
    with caplog.at_level(logging.INFO):
        kept = restrict_to_genome(annotation, {"chr1": 55}, "error", "a.gtf")
    assert kept["transcript_id"].to_list() == ["T1"]
    assert "1 on missing contigs, 0 beyond" in caplog.text
    short = {"chr1": 55, "chr2": 54}
    with pytest.raises(InputError, match=r"a.gtf, transcript 'T2': it ends at 55, beyond the end of chr2 \(54 nt\)"):
        restrict_to_genome(annotation, short, "error", "a.gtf")
    assert restrict_to_genome(annotation, short, "drop", "a.gtf")["transcript_id"].to_list() == ["T1"]


def test_script(tmp_path: Path) -> None:
    index, target = tmp_path / "g.fa.fai", tmp_path / "t.parquet"
    index.write_text("1\t100\t3\t60\t61\n")
    gtf = written(tmp_path, gencode("+"))
    with pytest.raises(InputError, match="names 'chr1', the genome '1'"):
        script.main(gtf=str(gtf), index=str(index), annotation=str(target))
    assert not target.exists()
    index.write_text("chr1\t100\t6\t60\t61\n")
    script.main(gtf=str(gtf), index=str(index), annotation=str(target))
    assert pl.read_parquet(target).equals(read_annotation(gtf))
