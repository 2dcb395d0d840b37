"""Regions: hand-worked cases on both strands, and random annotations against a slow, direct computation."""

import logging
import random
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import extract_site_windows
import extract_transcript_ends
import extract_tss_windows
import extract_utr3_patches
import prepare_genome
import read_annotation as annotation_script
import slow_extraction as slow
from nucleobert.annotation import ANNOTATION_SCHEMA
from nucleobert.errors import InputError
from nucleobert.genome import Genome
from nucleobert.regions import (
    REGION_SCHEMA,
    choose_transcripts,
    read_sites,
    site_windows,
    slice_blocks,
    transcript_ends,
    tss_windows,
    utr3_blocks,
    utr3_patches,
    write_regions,
)

BASES = "".join(random.Random(0).choices("ACGT", k=60))
REVERSED = "".join({"A": "T", "C": "G", "G": "C", "T": "A"}[base] for base in reversed(BASES))


def minus(start: int, end: int) -> str:
    """The minus strand of [start, end) of BASES, taken from the reversed contig."""
    return REVERSED[60 - end : 60 - start]


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "in.fa").write_text(f">chr1\n{BASES}\n>chr2\n{'ACGT' * 10}\n")
    prepare_genome.main(fasta=str(tmp_path / "in.fa"), genome=str(tmp_path / "g.fa"), index=str(tmp_path / "g.fa.fai"))
    return Genome(tmp_path / "g.fa")


def transcript(strand: str = "+", **values: Any) -> dict[str, Any]:
    row = {
        "gene_id": "G1",
        "gene_name": "N1",
        "gene_type": "protein_coding",
        "transcript_id": "T1",
        "transcript_type": "protein_coding",
        "chrom": "chr1",
        "strand": strand,
        "exon_starts": [5, 25, 40],
        "exon_ends": [20, 35, 55],
        "cds_start": 8 if strand == "+" else 34,
        "cds_end": 27 if strand == "+" else 51,
        "tags": ["basic"],
    } | values
    return {"start": row["exon_starts"][0], "end": row["exon_ends"][-1]} | row


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{name: row[name] for name in ANNOTATION_SCHEMA} for row in rows], schema=ANNOTATION_SCHEMA)


@given(
    sizes=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=1, max_size=5),
    strand=st.sampled_from("+-"),
    ends=st.tuples(st.integers(0, 30), st.integers(0, 30)),
)
def test_slice_blocks_equals_positions(sizes: list[tuple[int, int]], strand: str, ends: tuple[int, int]) -> None:
    blocks, at = [], 0
    for gap, size in sizes:
        blocks.append((at + gap + 1, at + gap + 1 + size))
        at = blocks[-1][1]
    positions = [p for start, end in blocks for p in range(start, end)]
    first, last = sorted(ends)
    expected = (positions[::-1] if strand == "-" else positions)[first:last]
    assert slice_blocks(blocks, strand, first, last) == slow.runs(expected)


def test_utr3_blocks_by_hand() -> None:
    exons = ([5, 25, 40], [20, 35, 55])
    assert utr3_blocks(*exons, "+", 8, 27) == [(27, 35), (40, 55)]
    assert utr3_blocks(*exons, "-", 34, 51) == [(5, 20), (25, 34)]
    assert utr3_blocks(*exons, "+", 8, 35) == [(40, 55)]
    assert utr3_blocks(*exons, "-", 25, 51) == [(5, 20)]
    assert utr3_blocks(*exons, "+", 8, 55) == []
    assert utr3_blocks(*exons, "-", 5, 51) == []
    assert utr3_blocks(*exons, "+", None, None) == []


def test_patches_by_hand(genome: Genome) -> None:
    rows = utr3_patches(table(transcript("+"), transcript("-", transcript_id="T2")), genome, 10, 3).to_dicts()
    assert [(row["id"], row["sequence"]) for row in rows] == [
        ("T1:utr3:0-10", BASES[27:35] + BASES[40:42]),
        ("T1:utr3:10-20", BASES[42:52]),
        ("T1:utr3:20-23", BASES[52:55]),
        ("T2:utr3:0-10", minus(25, 34) + minus(19, 20)),
        ("T2:utr3:10-20", minus(9, 19)),
        ("T2:utr3:20-24", minus(5, 9)),
    ]
    assert rows[0] == {
        "id": "T1:utr3:0-10",
        "chrom": "chr1",
        "start": 27,
        "end": 42,
        "strand": "+",
        "gene_id": "G1",
        "gene_name": "N1",
        "transcript_id": "T1",
        "block_starts": "0,13",
        "block_sizes": "8,2",
        "site": -1,
        "sequence": BASES[27:35] + BASES[40:42],
    }
    assert (rows[3]["start"], rows[3]["end"], rows[3]["block_starts"], rows[3]["block_sizes"]) == (19, 34, "0,6", "1,9")


def test_short_pieces(genome: Genome) -> None:
    one = table(transcript("+"))
    assert utr3_patches(one, genome, 10, 4)["id"].to_list() == ["T1:utr3:0-10", "T1:utr3:10-20"]
    assert utr3_patches(one, genome, 23, 23)["id"].to_list() == ["T1:utr3:0-23"]
    assert utr3_patches(one, genome, 100, 23)["id"].to_list() == ["T1:utr3:0-23"]
    assert utr3_patches(one, genome, 100, 24).schema == REGION_SCHEMA


def test_longest_transcript(caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        transcript(transcript_id="T9"),
        transcript(transcript_id="T10"),
        transcript(transcript_id="short", exon_starts=[5, 40], exon_ends=[20, 55]),
        transcript(transcript_id="long_span_short_spliced", exon_starts=[0, 40], exon_ends=[3, 58]),
        transcript(transcript_id="incomplete", exon_ends=[20, 36, 59], tags=["mRNA_end_NF"]),
        transcript(transcript_id="incomplete2", exon_ends=[20, 36, 59], tags=["basic", "cds_end_NF"]),
        transcript(transcript_id="no_utr", exon_ends=[20, 36, 59], cds_end=59),
        transcript(transcript_id="no_cds", exon_ends=[20, 36, 59], cds_start=None, cds_end=None),
        transcript(transcript_id="decay", exon_ends=[20, 36, 59], transcript_type="nonsense_mediated_decay"),
        transcript("-", transcript_id="U1", gene_id="G2"),
        transcript(transcript_id="L1", gene_id="G3", gene_type="lncRNA", transcript_type="lncRNA"),
    ]
    annotation = table(*rows)
    with caplog.at_level(logging.INFO):
        chosen = choose_transcripts(annotation, "longest", "protein_coding", need_utr3=True)
    assert chosen["transcript_id"].to_list() == ["T10", "U1"]
    assert "9 transcripts of type protein_coding: 2 with an incomplete 3' end and 2 without a 3'UTR" in caplog.text
    assert choose_transcripts(annotation, "longest", "protein_coding")["transcript_id"].to_list() == [
        "incomplete",
        "U1",
    ]
    assert choose_transcripts(annotation, "longest", "lncRNA")["transcript_id"].to_list() == ["L1"]
    every = choose_transcripts(annotation, "all", "protein_coding", need_utr3=True)["transcript_id"].to_list()
    assert every == ["T9", "T10", "short", "long_span_short_spliced", "U1"]
    with pytest.raises(InputError, match=r"no transcript of the type 'mRNA'; .*\(lncRNA, protein_coding\)"):
        choose_transcripts(annotation, "longest", "mRNA")
    with pytest.raises(InputError, match="no transcript has a 3'UTR"):
        choose_transcripts(table(rows[7]), "longest", "protein_coding", need_utr3=True)


def test_canonical_transcript() -> None:
    annotation = table(
        transcript(transcript_id="T1"),
        transcript(transcript_id="T2", tags=["Ensembl_canonical"], exon_ends=[20, 35, 59]),
        transcript(transcript_id="T3", tags=["basic", "MANE_Select"], exon_ends=[20, 35, 50]),
        transcript(transcript_id="U1", gene_id="G2", tags=["Ensembl_canonical"]),
        transcript(transcript_id="V1", gene_id="G3"),
    )
    assert choose_transcripts(annotation, "canonical", "protein_coding")["transcript_id"].to_list() == ["T3", "U1"]
    with pytest.raises(InputError, match="no transcript is tagged MANE_Select or Ensembl_canonical"):
        choose_transcripts(annotation[:1], "canonical", "protein_coding")


def test_transcript_ends_by_hand(genome: Genome) -> None:
    both = table(transcript("+"), transcript("-", transcript_id="T2"))
    assert transcript_ends(both, genome, 20)["sequence"].to_list() == [
        BASES[30:35] + BASES[40:55],
        minus(25, 30) + minus(5, 20),
    ]
    whole = transcript_ends(both, genome, 41)
    assert whole["sequence"].str.len_chars().to_list() == [40, 40]
    assert whole["block_sizes"].to_list() == ["15,10,15", "15,10,15"]


def test_tss_windows_by_hand(genome: Genome) -> None:
    both = table(transcript("+"), transcript("-", transcript_id="T2"))
    even = tss_windows(both, genome, 8)
    assert even["sequence"].to_list() == [BASES[1:9], minus(51, 59)]
    assert even["site"].to_list() == [4, 4]
    assert [row["sequence"][row["site"]] for row in even.to_dicts()] == [BASES[5], minus(54, 55)]
    odd = tss_windows(both, genome, 5)
    assert odd["sequence"].to_list() == [BASES[3:8], minus(52, 57)]
    padded = tss_windows(both, genome, 16).to_dicts()
    assert padded[0]["sequence"] == "NNN" + BASES[0:13]
    assert (padded[0]["start"], padded[0]["end"], padded[0]["block_sizes"]) == (0, 13, "13")
    assert padded[1]["sequence"] == "NNN" + minus(47, 60)
    assert (padded[1]["start"], padded[1]["end"]) == (47, 60)


def test_regions_off_the_genome_are_refused(genome: Genome) -> None:
    beyond = table(transcript("-", exon_ends=[20, 35, 61]))
    for extract in (tss_windows, transcript_ends):
        with pytest.raises(InputError, match="lies outside its contig, which is 60 nt long"):
            extract(beyond, genome, 50)
    with pytest.raises(InputError, match="lies outside its contig"):
        utr3_patches(table(transcript("+", exon_ends=[20, 35, 61])), genome, 10, 1)


def sites_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "sites.bed"
    path.write_text("# a comment\n" + "\n".join(line.replace(" ", "\t") for line in lines) + "\n")
    return path


def test_site_windows_by_hand(tmp_path: Path, genome: Genome, caplog: pytest.LogCaptureFixture) -> None:
    path = sites_file(
        tmp_path, "chr1 30 31 a 0 +", "chr1 30 31 b 1 -", "chr1 2 3 c 0 -", "chr1 30 31 d 9 +", "chr2 39 40 e 0 +"
    )
    genes = table(
        transcript("+", gene_id="late", exon_starts=[6, 25, 40]),
        transcript("+", gene_id="b_first"),
        transcript("+", gene_id="a_first", gene_name="A", transcript_id="T2"),
        transcript("-", gene_id="other_strand", exon_starts=[3, 25, 40]),
    )
    with caplog.at_level(logging.INFO):
        found = site_windows(read_sites(path), genes, genome, 4, off_genome="error", wide="error", edge="pad")
    rows = found.to_dicts()
    assert [(row["id"], row["sequence"], row["gene_id"]) for row in rows] == [
        ("chr1:30-31(+)", BASES[26:35], "a_first"),
        ("chr1:30-31(-)", minus(26, 35), "other_strand"),
        ("chr1:2-3(-)", minus(0, 7) + "NN", ""),
        ("chr2:39-40(+)", "TACGT" + "NNNN", ""),
    ]
    assert rows[0]["gene_name"] == "A"
    assert {row["site"] for row in rows} == {4}
    assert (rows[2]["start"], rows[2]["end"], rows[3]["start"], rows[3]["end"]) == (0, 7, 35, 40)
    assert "collapsed: 1 repeated sites" in caplog.text
    assert "4 site windows; 2 windows over a contig's end (padded with N)" in caplog.text
    whole = site_windows(read_sites(path), genes, genome, 4, off_genome="error", wide="error", edge="drop")
    assert whole.equals(found[:2])


def test_windows_that_just_fit_are_kept(tmp_path: Path, genome: Genome) -> None:
    sites = read_sites(sites_file(tmp_path, *(f"chr1 {at} {at + 1} . 0 -" for at in (3, 4, 55, 56))))
    found = site_windows(sites, table(transcript()), genome, 4, off_genome="error", wide="error", edge="drop")
    assert found["sequence"].to_list() == [minus(0, 9), minus(51, 60)]


def test_sites_off_the_genome(tmp_path: Path, genome: Genome, caplog: pytest.LogCaptureFixture) -> None:
    genes = table(transcript())

    def windows(path: Path, off_genome: Any) -> list[str]:
        found = site_windows(read_sites(path), genes, genome, 2, off_genome=off_genome, wide="error", edge="pad")
        return found["id"].to_list()

    beyond = sites_file(tmp_path, "chr1 59 60 a 0 +", "chr1 60 61 b 0 +", "chr9 1 2 c 0 +")
    with pytest.raises(InputError, match=r"sites\.bed:3: the site chr1:60-61 lies beyond the end of chr1 \(60 nt\)"):
        windows(beyond, "error")
    with caplog.at_level(logging.INFO):
        assert windows(beyond, "drop") == ["chr1:59-60(+)"]
    assert "1 of 3 sites on the genome; dropped: 1 on missing contigs, 1 beyond a contig's end" in caplog.text
    with pytest.raises(InputError, match=r"sites\.bed:3: the contig 'chr9' is not in the genome"):
        windows(sites_file(tmp_path, "chr1 1 2 a 0 +", "chr9 1 2 c 0 +"), "error")
    for off_genome in ("error", "drop"):
        with pytest.raises(InputError, match=r"sites\.bed: .* names '2', the genome 'chr2'"):
            windows(sites_file(tmp_path, "2 1 2 a 0 +"), off_genome)
    with pytest.raises(InputError, match="no site lies on the genome"):
        windows(sites_file(tmp_path, "chr1 60 61 a 0 +"), "drop")


def test_wide_sites(tmp_path: Path, genome: Genome) -> None:
    sites = read_sites(sites_file(tmp_path, "chr1 9 10 a 0 +", "chr1 20 22 b 0 +"))
    genes = table(transcript())
    with pytest.raises(InputError, match=r"sites\.bed:3: the site chr1:20-22 is not a single base"):
        site_windows(sites, genes, genome, 2, off_genome="error", wide="error", edge="pad")
    kept = site_windows(sites, genes, genome, 2, off_genome="error", wide="drop", edge="pad")
    assert kept["id"].to_list() == ["chr1:9-10(+)"]


def test_site_tables_with_a_header(tmp_path: Path) -> None:
    path = tmp_path / "sites.tsv"
    path.write_text("name\tstrand\tend\tchrom\tstart\nx\t-\t8\tchr1\t7\n\n")
    assert read_sites(path).rows() == [("chr1", 7, 8, "-", f"{path}:2")]


BAD_SITES = {
    "BED3": (["chr1 1 2"], ":2: 3 tab-separated columns, 6 are needed; give BED6"),
    "a short line": (["chr1 1 2 a 0 +", "chr1 1 2 a 0"], ":3: 5 tab-separated columns, 6 are needed"),
    "no strand column": (["chrom start end name"], ":2: the column strand is missing; give BED6"),
    "not a table": (["hello"], ":2: the column chrom is missing"),
    "no number": (["chr1 1 2 a 0 +", "chr1 x 2 a 0 +"], ":3: start 'x' and end '2' are not 0-based"),
    "negative": (["chr1 1 2 a 0 +", "chr1 -1 0 a 0 +"], ":3: start '-1' and end '0' are not 0-based"),
    "1-based": (["chr1 2 2 a 0 +"], ":2: the site chr1:2-2 is empty"),
    "no strand": (["chr1 1 2 a 0 ."], ":2: the strand is '.'"),
    "nothing": ([""], ": there are no sites"),
}


@pytest.mark.parametrize("case", BAD_SITES)
def test_bad_site_tables(tmp_path: Path, case: str) -> None:
    lines, message = BAD_SITES[case]
    path = sites_file(tmp_path, *lines)
    with pytest.raises(InputError) as error:
        read_sites(path)
    assert f"{path}{message}" in str(error.value)


def test_written_forms(tmp_path: Path, genome: Genome) -> None:
    paths = [tmp_path / name for name in ("r.bed", "r.fa", "r.parquet")]
    unspliced = tss_windows(table(transcript("-")), genome, 6)
    write_regions(unspliced, *paths)
    assert paths[0].read_text() == "chr1\t52\t58\tT1:tss\t0\t-\n"
    assert paths[1].read_text() == f">T1:tss\n{minus(52, 58)}\n"
    assert pl.read_parquet(paths[2]).equals(unspliced)
    spliced = utr3_patches(table(transcript("-")), genome, 10, 10)
    write_regions(spliced, *paths)
    assert paths[0].read_text() == (
        "chr1\t19\t34\tT1:utr3:0-10\t0\t-\t19\t19\t0\t2\t1,9\t0,6\nchr1\t9\t19\tT1:utr3:10-20\t0\t-\t9\t9\t0\t1\t10\t0\n"
    )
    assert getfasta(genome.path, paths[0]) == spliced.select("id", "sequence").rows()


def test_nothing_or_repeated_ids_are_not_written(tmp_path: Path, genome: Genome) -> None:
    paths = [tmp_path / name for name in ("r.bed", "r.fa", "r.parquet")]
    one = tss_windows(table(transcript()), genome, 6)
    with pytest.raises(InputError, match="no region is left"):
        write_regions(one[:0], *paths)
    with pytest.raises(InputError, match="region 'T1:tss': two regions have this id"):
        write_regions(pl.concat([one, one]), *paths)
    assert not any(path.exists() for path in paths)


def getfasta(genome: Path, bed: Path) -> list[tuple[str, str]]:
    """Sequences by bedtools; it appends the strand to the names."""
    command = ["bedtools", "getfasta", "-fi", str(genome), "-bed", str(bed), "-s", "-split", "-nameOnly", "-tab"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in output.splitlines()]
    return [(name.rpartition("(")[0], sequence) for name, sequence in rows]


def random_gtf(draw: random.Random, contigs: dict[str, str], convention: str) -> list[str]:
    """Random genes; a transcript's truth is a list of positions, of which a part is coding."""
    lines = []
    for number in range(draw.randint(3, 10)):
        chrom, strand = draw.choice(list(contigs)), draw.choice("+-")
        kind = draw.choice(["protein_coding", "protein_coding", "lncRNA"])
        for copy in range(draw.randint(1, 3)):
            at, exons = draw.randint(0, 200), []
            for _ in range(draw.randint(1, 6)):
                exons.append((at, at + draw.randint(1, 60)))
                at = exons[-1][1] + draw.randint(1, 80)
            positions = [p for start, end in exons for p in range(start, end)]
            order = positions[::-1] if strand == "-" else positions
            tags = draw.choice(['tag "basic";', "", 'tag "basic"; tag "mRNA_end_NF";', 'tag "CCDS"; tag "basic";'])
            own = draw.choice([kind, kind, kind, "retained_intron"])
            of = (
                f'gene_id "G{number}.1"; transcript_id "T{number}.{copy}"; gene_type "{kind}"; gene_name "N{number}"; '
                f'transcript_type "{own}"; {tags}'
            )
            features = [("transcript", min(positions), max(positions) + 1)]
            features += [("exon", *exon) for exon in draw.sample(exons, len(exons))]
            if kind == "protein_coding" and len(order) >= 6 and draw.random() < 0.9:
                first = draw.randint(0, len(order) - 6)
                last = draw.choice([len(order), draw.randint(first + 6, len(order))])
                coding, stop = order[first : last - 3], order[last - 3 : last]
                if convention == "gencode":
                    features += [("CDS", *run) for run in slow.runs(coding)]
                    features += [("stop_codon", *run) for run in slow.runs(stop)]
                    features += [("UTR", *run) for run in slow.runs(order[last - 3 :])]
                else:
                    features += [("CDS", *run) for run in slow.runs(coding + stop)]
            lines += [f"{chrom}\tX\t{name}\t{start + 1}\t{end}\t.\t{strand}\t.\t{of}" for name, start, end in features]
    return lines


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("convention", ["gencode", "refseq"])
def test_scripts_equal_the_slow_computation(tmp_path: Path, seed: int, convention: str) -> None:
    draw = random.Random(f"{seed} {convention}")
    contigs = {name: "".join(draw.choices("ACGTN", [9, 9, 9, 9, 1], k=1100)) for name in ("chr1", "chr2")}
    fasta, gtf, bed = tmp_path / "in.fa", tmp_path / "in.gtf", tmp_path / "in.bed"
    fasta.write_text("".join(f">{name}\n{sequence.lower()}\n" for name, sequence in contigs.items()))
    coding = [
        f"chr1\tX\t{feature}\t{start}\t{end}\t.\t+\t.\t"
        f'gene_id "{kind}"; transcript_id "{kind}"; gene_type "{kind}"; transcript_type "{kind}";'
        for kind in ("protein_coding", "lncRNA")
        for feature, start, end in (("exon", 31, 90), ("CDS", 41, 60))
        if feature == "exon" or kind == "protein_coding"
    ]
    gtf.write_text("\n".join([*random_gtf(draw, contigs, convention), *coding]) + "\n")
    sites = [(draw.choice(["chr1", "chr2", "chr3"]), draw.randint(0, 1150), draw.choice("+-")) for _ in range(60)]
    sites += [("chr1", 0, "-"), ("chr1", 1099, "+"), ("chr1", 1099, "+")]
    bed.write_text("".join(f"{chrom}\t{at}\t{at + 1}\t.\t0\t{strand}\n" for chrom, at, strand in sites))

    genome, index, annotation = (str(tmp_path / name) for name in ("g.fa", "g.fa.fai", "t.parquet"))
    out = {name: str(tmp_path / f"out.{name}") for name in ("bed", "fasta", "parquet")}
    read = {"genome": genome, "index": index, "annotation": annotation}
    prepare_genome.main(fasta=str(fasta), genome=genome, index=index)
    annotation_script.main(gtf=str(gtf), index=index, annotation=annotation)
    letters, transcripts = slow.read_genome(fasta), slow.read_transcripts(gtf)

    def written() -> list[dict[str, Any]]:
        rows = pl.read_parquet(out["parquet"])
        assert slow.read_genome(Path(out["fasta"])) == dict(rows.select("id", "sequence").rows())
        assert [line.split("\t")[3] for line in Path(out["bed"]).read_text().splitlines()] == rows["id"].to_list()
        return sorted(rows.to_dicts(), key=lambda row: row["id"])

    def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(rows, key=lambda row: row["id"])

    size, least = draw.randint(1, 60), draw.randint(1, 8)
    extract_utr3_patches.main(**read, **out, settings={"size": size, "min_size": least})
    expected = slow.patches(letters, transcripts, size, least)
    assert written() == by_id(expected)
    assert getfasta(Path(genome), Path(out["bed"])) == pl.read_parquet(out["parquet"]).select("id", "sequence").rows()

    extract_transcript_ends.main(**read, **out, settings={"size": size, "gene_type": "lncRNA"})
    assert written() == by_id(slow.ends(letters, transcripts, "lncRNA", size))

    extract_tss_windows.main(**read, **out, settings={"size": size * 4 + 1})
    assert written() == by_id(slow.starts(letters, transcripts, size * 4 + 1))

    extract_site_windows.main(**read, **out, sites=str(bed), settings={"flank": size, "off_genome": "drop"})
    assert written() == by_id(slow.windows(letters, transcripts, sites, size))
