"""From annotation and sites to regions with their sequences: 3'UTR patches, windows around sites and starts, ends.

A regions table has one row a region, with the columns of `REGION_SCHEMA`. Coordinates are genomic, 0-based and
half-open; ``sequence`` and ``site`` are in the orientation of the strand. ``block_starts`` (relative to ``start``) and
``block_sizes`` are comma lists in genomic order, one entry a block, as in BED12. Where a window reaches over the end of
a contig, ``start`` and ``end`` stop at the contig and the sequence is padded with N to its full size.
"""

import contextlib
import logging
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import polars as pl
import pybedtools

from nucleobert.annotation import OffGenome, check_contigs
from nucleobert.errors import InputError
from nucleobert.files import open_text, write_beside
from nucleobert.genome import Genome
from nucleobert.sequences import write_fasta
from nucleobert.tools import require_tool

logger = logging.getLogger(__name__)

Block = tuple[int, int]
Rule = Literal["longest", "canonical", "all"]

REGION_SCHEMA = pl.Schema(
    [
        ("id", pl.String),
        ("chrom", pl.String),
        ("start", pl.Int64),
        ("end", pl.Int64),
        ("strand", pl.String),
        ("gene_id", pl.String),
        ("gene_name", pl.String),
        ("transcript_id", pl.String),
        ("block_starts", pl.String),
        ("block_sizes", pl.String),
        ("site", pl.Int32),
        ("sequence", pl.String),
    ]
)
SITE_SCHEMA = pl.Schema(
    [("chrom", pl.String), ("start", pl.Int64), ("end", pl.Int64), ("strand", pl.String), ("place", pl.String)]
)

_SITE_COLUMNS = ("chrom", "start", "end", "strand")
_BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")
_INCOMPLETE_3_END = ("mRNA_end_NF", "cds_end_NF")
_CANONICAL_TAGS = ("MANE_Select", "Ensembl_canonical")


def slice_blocks(blocks: Iterable[Block], strand: str, first: int, last: int) -> list[Block]:
    """Return the genomic blocks of the spliced positions [first, last), counted from the 5' end of `blocks`.

    Parameters
    ----------
    blocks
        (start, end) of each block, ascending on the genome.
    strand
        ``"+"`` or ``"-"``; on ``"-"`` position 0 is the last base of the last block.

    >>> slice_blocks([(10, 14), (20, 24)], "+", 3, 6)
    [(13, 14), (20, 22)]
    >>> slice_blocks([(10, 14), (20, 24)], "-", 3, 6)
    [(12, 14), (20, 21)]
    """
    blocks = list(blocks)
    if strand == "-":
        length = spliced_length(blocks)
        first, last = length - last, length - first
    kept, offset = [], 0
    for start, end in blocks:
        low, high = max(start, start + first - offset), min(end, start + last - offset)
        if low < high:
            kept.append((low, high))
        offset += end - start
    return kept


def spliced_length(blocks: Iterable[Block]) -> int:
    """Return the number of nucleotides in `blocks`."""
    return sum(end - start for start, end in blocks)


def utr3_blocks(
    exon_starts: Sequence[int], exon_ends: Sequence[int], strand: str, cds_start: int | None, cds_end: int | None
) -> list[Block]:
    """Return the blocks of the 3'UTR, ascending on the genome: what the exons hold past the coding span.

    The coding span includes the stop codon. Empty if there is no CDS, or nothing past it.
    """
    if cds_start is None or cds_end is None:
        return []
    exons = zip(exon_starts, exon_ends, strict=True)
    if strand == "+":
        return [(max(start, cds_end), end) for start, end in exons if end > cds_end]
    return [(start, min(end, cds_start)) for start, end in exons if start < cds_start]


def _exons(transcript: dict[str, Any]) -> list[Block]:
    return list(zip(transcript["exon_starts"], transcript["exon_ends"], strict=True))


def _utr3(transcript: dict[str, Any]) -> list[Block]:
    return utr3_blocks(*(transcript[name] for name in ("exon_starts", "exon_ends", "strand", "cds_start", "cds_end")))


def choose_transcripts(
    annotation: pl.DataFrame, rule: Rule, gene_type: str, *, need_utr3: bool = False, place: object = "annotation"
) -> pl.DataFrame:
    """Choose the transcripts that stand for their genes.

    Only transcripts whose own type and whose gene's type are `gene_type` are considered (so a nonsense-mediated-decay
    transcript of a protein-coding gene is not). With `need_utr3`, so are only those with a 3'UTR and a complete 3' end
    (tagged neither ``mRNA_end_NF`` nor ``cds_end_NF``); both kinds of loss are counted in the log.

    Parameters
    ----------
    annotation
        As `nucleobert.annotation.read_annotation` returns it.
    rule
        ``"longest"``: the transcript of each gene with the most nucleotides after splicing; ties go to the first
        transcript id. ``"canonical"``: the one tagged ``MANE_Select``, else ``Ensembl_canonical``; genes without either
        are left out, ties go to the longest. ``"all"``: every transcript.
    place
        The annotation's file, for messages.

    Returns
    -------
    pl.DataFrame
        Rows of `annotation`, in its order.

    Raises
    ------
    InputError
        If no transcript is left.
    """
    typed = annotation.with_row_index("row").filter(
        (pl.col("gene_type") == gene_type) & (pl.col("transcript_type") == gene_type)
    )
    if not typed.height:
        present = ", ".join(sorted(annotation["gene_type"].unique())[:8]) or "none"
        raise InputError(
            place, f"no transcript of the type {gene_type!r}", f"set gene_type to a type of the annotation ({present})"
        )
    chosen = typed
    if need_utr3:
        complete = typed.filter(~pl.col("tags").list.set_intersection(list(_INCOMPLETE_3_END)).list.len().cast(bool))
        chosen = complete.filter(
            pl.when(pl.col("strand") == "+")
            .then(pl.col("end") > pl.col("cds_end"))
            .otherwise(pl.col("start") < pl.col("cds_start"))
        )
        logger.info(
            "%d transcripts of type %s: %d with an incomplete 3' end and %d without a 3'UTR left out",
            typed.height,
            gene_type,
            typed.height - complete.height,
            complete.height - chosen.height,
        )
        if not chosen.height:
            raise InputError(place, "no transcript has a 3'UTR", "give an annotation with CDS lines")
    if rule != "all":
        rank = pl.lit(0)
        if rule == "canonical":
            rank = pl.coalesce(
                *(pl.when(pl.col("tags").list.contains(tag)).then(n) for n, tag in enumerate(_CANONICAL_TAGS))
            )
        spliced = pl.col("exon_ends").list.sum() - pl.col("exon_starts").list.sum()
        ranked = chosen.with_columns(rank=rank, spliced=spliced).filter(pl.col("rank").is_not_null())
        if not ranked.height:
            raise InputError(
                place,
                f"no transcript is tagged {' or '.join(_CANONICAL_TAGS)}",
                "choose transcripts by the rule 'longest'",
            )
        logger.info(
            "rule %s: %d genes, %d genes without such a transcript",
            rule,
            ranked["gene_id"].n_unique(),
            chosen["gene_id"].n_unique() - ranked["gene_id"].n_unique(),
        )
        chosen = ranked.sort("rank", "spliced", "transcript_id", descending=[False, True, False]).unique(
            "gene_id", keep="first", maintain_order=True
        )
    return chosen.sort("row").select(annotation.columns)


def _region(name: str, blocks: list[Block], sequence: str, site: int = -1, **of: Any) -> tuple[Any, ...]:
    """Return a row of `REGION_SCHEMA`; `of` holds chrom and strand, and gene and transcript where known."""
    start, end = blocks[0][0], blocks[-1][1]
    return (
        name,
        of["chrom"],
        start,
        end,
        of["strand"],
        of.get("gene_id", ""),
        of.get("gene_name", ""),
        of.get("transcript_id", ""),
        ",".join(str(low - start) for low, _ in blocks),
        ",".join(str(high - low) for low, high in blocks),
        site,
        sequence,
    )


def _table(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=REGION_SCHEMA, orient="row")


def utr3_patches(transcripts: pl.DataFrame, genome: Genome, size: int, min_size: int) -> pl.DataFrame:
    """Cut each spliced 3'UTR, from its 5' end, into patches of `size` nt that do not overlap (3UTRBERT, 510 nt).

    Parameters
    ----------
    transcripts
        As `choose_transcripts` returns them; those without a 3'UTR give no patch.
    min_size
        A piece shorter than `size` (the rest, or a whole short 3'UTR) is kept if it has at least `min_size` nt, else
        left out and counted in the log; equal to `size`, only full patches are kept.

    Returns
    -------
    pl.DataFrame
        Regions, named ``<transcript>:utr3:<first>-<last>`` by their spliced positions in the 3'UTR.

    Raises
    ------
    InputError
        If a 3'UTR lies outside the genome.
    """
    rows, left_out = [], 0
    for transcript in transcripts.iter_rows(named=True):
        blocks, strand = _utr3(transcript), transcript["strand"]
        sequence = genome.fetch_blocks(transcript["chrom"], blocks, strand)
        for first in range(0, len(sequence), size):
            patch = sequence[first : first + size]
            if len(patch) < min_size:
                left_out += 1
                continue
            last = first + len(patch)
            name = f"{transcript['transcript_id']}:utr3:{first}-{last}"
            rows.append(_region(name, slice_blocks(blocks, strand, first, last), patch, **transcript))
    logger.info(
        "%d 3'UTR patches of %d transcripts; %d pieces under %d nt left out",
        len(rows),
        transcripts.height,
        left_out,
        min_size,
    )
    return _table(rows)


def transcript_ends(transcripts: pl.DataFrame, genome: Genome, size: int) -> pl.DataFrame:
    """Return the last `size` nt of each spliced transcript, or all of a shorter one (iLoc-lncRNA-BERT, 2,292 nt).

    The regions are named ``<transcript>:end``.

    Raises
    ------
    InputError
        If a transcript lies outside the genome.
    """
    rows = []
    for transcript in transcripts.iter_rows(named=True):
        exons, strand = _exons(transcript), transcript["strand"]
        length = spliced_length(exons)
        blocks = slice_blocks(exons, strand, max(0, length - size), length)
        sequence = genome.fetch_blocks(transcript["chrom"], blocks, strand)
        rows.append(_region(f"{transcript['transcript_id']}:end", blocks, sequence, **transcript))
    logger.info("%d transcript ends of at most %d nt", len(rows), size)
    return _table(rows)


def _window(genome: Genome, chrom: str, position: int, strand: str, before: int, after: int) -> tuple[Block, str]:
    """Return the span on the contig, and the N-padded sequence, of `position` with `before` nt 5' and `after` nt 3'."""
    left, right = (before, after) if strand == "+" else (after, before)
    start, end = position - left, position + right + 1
    sequence = genome.fetch(chrom, start, end, strand, pad=True)
    return (max(start, 0), min(end, genome.lengths[chrom])), sequence


def tss_windows(transcripts: pl.DataFrame, genome: Genome, size: int) -> pl.DataFrame:
    """Return the window of `size` nt around the start (TSS) of each transcript.

    In the transcript's orientation it is [TSS - size // 2, TSS + size - size // 2), so ``site``, the offset of the TSS
    in the sequence, is size // 2 on both strands. Windows over the end of a contig are padded with N.
    The regions are named ``<transcript>:tss``.

    Raises
    ------
    InputError
        If a transcript's contig is not in the genome, or the TSS lies beyond its end.
    """
    before = size // 2
    rows = []
    for transcript in transcripts.iter_rows(named=True):
        chrom, strand = transcript["chrom"], transcript["strand"]
        position = transcript["start"] if strand == "+" else transcript["end"] - 1
        genome.fetch(chrom, position, position + 1)
        span, sequence = _window(genome, chrom, position, strand, before, size - before - 1)
        rows.append(_region(f"{transcript['transcript_id']}:tss", [span], sequence, site=before, **transcript))
    logger.info("%d windows of %d nt around transcript starts", len(rows), size)
    return _table(rows)


def read_sites(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read stranded sites from BED6 or from a TSV with a header line, plain or gzipped.

    Lines that start with ``#``, ``track`` or ``browser`` and empty lines are skipped. If the first other line has no
    numbers in its second and third column it is a header, which must name the columns chrom, start, end and strand
    (0-based, half-open, as in BED).

    Returns
    -------
    pl.DataFrame
        The columns of `SITE_SCHEMA`, in file order; place is ``file:line``.

    Raises
    ------
    InputError
        If a column is missing, a value is not a coordinate or strand, or there are no sites.
    """
    rows = []
    columns: dict[str, int] | None = None
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith(("#", "track", "browser")):
                continue
            place, fields = f"{path}:{number}", line.rstrip("\r\n").split("\t")
            if columns is None:
                bed = len(fields) > 2 and fields[1].isdigit() and fields[2].isdigit()
                columns = {name: index for index, name in enumerate(_BED_COLUMNS if bed else fields)}
                missing = [name for name in _SITE_COLUMNS if name not in columns]
                if missing:
                    raise InputError(
                        place,
                        f"the column {missing[0]} is missing",
                        f"give BED6 ({', '.join(_BED_COLUMNS)}) or a header line with {', '.join(_SITE_COLUMNS)}",
                    )
                if not bed:
                    continue
            needed = 1 + max(columns[name] for name in _SITE_COLUMNS)
            if len(fields) < needed:
                raise InputError(
                    place,
                    f"{len(fields)} tab-separated columns, {needed} are needed",
                    f"give BED6 ({', '.join(_BED_COLUMNS)}) or a header line with {', '.join(_SITE_COLUMNS)}",
                )
            chrom, start, end, strand = (fields[columns[name]] for name in _SITE_COLUMNS)
            if not (start.isdigit() and end.isdigit()):
                raise InputError(
                    place, f"start {start!r} and end {end!r} are not 0-based coordinates", "correct or remove the line"
                )
            if int(start) >= int(end):
                raise InputError(place, f"the site {chrom}:{start}-{end} is empty", "count from 0; end = start + 1")
            if strand not in ("+", "-"):
                raise InputError(place, f"the strand is {strand!r}, not '+' or '-'", "give stranded sites")
            rows.append((chrom, int(start), int(end), strand, place))
    if not rows:
        raise InputError(path, "there are no sites", "give a BED6 file or a table with at least one site")
    return pl.DataFrame(rows, schema=SITE_SCHEMA, orient="row")


def _sites_on_genome(sites: pl.DataFrame, genome: Genome, off_genome: OffGenome) -> pl.DataFrame:
    """Return the sites that lie on the genome; the others are an error, or dropped and counted."""
    check_contigs(sites["chrom"], genome.lengths, str(sites["place"][0]).rpartition(":")[0])
    length = pl.col("chrom").replace_strict(genome.lengths, default=0, return_dtype=pl.Int64)
    off = sites.filter(pl.col("end") > length)
    if off.height and off_genome == "error":
        chrom, start, end, _, place = off.row(0)
        problem = (
            f"the site {chrom}:{start}-{end} lies beyond the end of {chrom} ({genome.lengths[chrom]} nt)"
            if chrom in genome.lengths
            else f"the contig {chrom!r} is not in the genome"
        )
        raise InputError(
            place, problem, "use sites of the genome's assembly, or set off_genome: drop if the genome is a slice"
        )
    kept = sites.filter(pl.col("end") <= length)
    absent = sites.filter(length == 0).height
    logger.info(
        "%d of %d sites on the genome; dropped: %d on missing contigs, %d beyond a contig's end",
        kept.height,
        sites.height,
        absent,
        off.height - absent,
    )
    if not kept.height:
        raise InputError(genome.path, "no site lies on the genome", "use sites of the genome's assembly")
    return kept


def _single_bases(sites: pl.DataFrame, wide: Literal["error", "drop"]) -> pl.DataFrame:
    """Return one row a position and strand; sites wider than one base are an error, or dropped and counted."""
    broad = sites.filter(pl.col("end") - pl.col("start") != 1)
    if broad.height and wide == "error":
        chrom, start, end, _, place = broad.row(0)
        raise InputError(
            place,
            f"the site {chrom}:{start}-{end} is not a single base",
            "give sites at single-base resolution (end = start + 1), or set wide: drop",
        )
    narrow = sites.filter(pl.col("end") - pl.col("start") == 1)
    single = narrow.unique(["chrom", "start", "strand"], keep="first", maintain_order=True)
    logger.info(
        "dropped: %d sites wider than one base; collapsed: %d repeated sites",
        broad.height,
        narrow.height - single.height,
    )
    return single


def _genes_of_sites(sites: pl.DataFrame, annotation: pl.DataFrame) -> list[tuple[str, str]]:
    """Return (gene_id, gene_name) of the gene on the same strand that holds each site, ("", "") if there is none.

    A gene is the span of its transcripts. Of several genes the one that starts first on the genome is taken, and of
    those that start together the first id.
    """
    genes = (
        annotation.group_by("gene_id", "chrom", "strand")
        .agg(pl.col("start").min(), pl.col("end").max(), pl.col("gene_name").first())
        .sort("start", "gene_id", "chrom", "strand")
    )
    require_tool("bedtools")
    spans = pybedtools.BedTool(
        "\n".join(
            f"{chrom}\t{start}\t{end}\t{row}\t0\t{strand}"
            for row, (chrom, start, end, strand) in enumerate(genes.select("chrom", "start", "end", "strand").rows())
        ),
        from_string=True,
    )
    points = pybedtools.BedTool(
        "\n".join(
            f"{chrom}\t{start}\t{start + 1}\t{row}\t0\t{strand}"
            for row, (chrom, start, strand) in enumerate(sites.select("chrom", "start", "strand").rows())
        ),
        from_string=True,
    )
    first_gene: dict[int, int] = {}
    for hit in points.intersect(spans, s=True, wa=True, wb=True):
        site, gene = int(hit.fields[3]), int(hit.fields[9])
        first_gene[site] = min(gene, first_gene.get(site, gene))
    names = genes.select("gene_id", "gene_name").rows()
    return [names[first_gene[site]] if site in first_gene else ("", "") for site in range(sites.height)]


def site_windows(
    sites: pl.DataFrame,
    annotation: pl.DataFrame,
    genome: Genome,
    flank: int,
    *,
    off_genome: OffGenome,
    wide: Literal["error", "drop"],
    edge: Literal["pad", "drop"],
) -> pl.DataFrame:
    """Return the genomic window of `flank` nt on both sides of each site, on the site's strand (m6A-BERT-Deg, 250 nt).

    Parameters
    ----------
    sites
        As `read_sites` returns them. Sites with one position and strand are collapsed and counted in the log.
    annotation
        Gives each site the gene on its strand that holds it (the first by start, then id; ``""`` if there is none).
    off_genome
        Sites on contigs that the genome lacks, or beyond the end of a contig: ``"error"``, or ``"drop"`` and count.
    wide
        Sites on the genome that are wider than one base: ``"error"``, or ``"drop"`` and count.
    edge
        Windows over the end of a contig: ``"pad"`` with N, or ``"drop"`` and count.

    Returns
    -------
    pl.DataFrame
        Regions, named ``<chrom>:<start>-<end>(<strand>)`` by their site (0-based, half-open); ``site`` is `flank`.

    Raises
    ------
    InputError
        If no site lies on the genome, or a setting is ``"error"`` and a site is such; its file and line are named.
    """
    single = _single_bases(_sites_on_genome(sites, genome, off_genome), wide)
    genes = _genes_of_sites(single, annotation)
    rows, over_edge = [], 0
    for (chrom, position, _, strand, _), (gene_id, gene_name) in zip(single.rows(), genes, strict=True):
        over = position < flank or position + flank >= genome.lengths[chrom]
        over_edge += over
        if over and edge == "drop":
            continue
        span, sequence = _window(genome, chrom, position, strand, flank, flank)
        of = {"chrom": chrom, "strand": strand, "gene_id": gene_id, "gene_name": gene_name}
        rows.append(_region(f"{chrom}:{position}-{position + 1}({strand})", [span], sequence, site=flank, **of))
    logger.info(
        "%d site windows; %d windows over a contig's end (%s)",
        len(rows),
        over_edge,
        "padded with N" if edge == "pad" else "dropped",
    )
    return _table(rows)


def _bed_lines(regions: pl.DataFrame) -> Iterable[str]:
    spliced = regions["block_sizes"].str.contains(",").any()
    columns = ("chrom", "start", "end", "id", "strand", "block_starts", "block_sizes")
    for chrom, start, end, name, strand, starts, sizes in regions.select(columns).iter_rows():
        bed6 = f"{chrom}\t{start}\t{end}\t{name}\t0\t{strand}"
        yield f"{bed6}\t{start}\t{start}\t0\t{sizes.count(',') + 1}\t{sizes}\t{starts}\n" if spliced else f"{bed6}\n"


def write_regions(
    regions: pl.DataFrame, bed: str | os.PathLike[str], fasta: str | os.PathLike[str], parquet: str | os.PathLike[str]
) -> None:
    """Write `regions` in three forms: BED, FASTA with the id as header, and Parquet with all columns.

    The BED has 12 columns if any region is spliced, else 6. No file appears unless all are complete.

    Raises
    ------
    InputError
        If there are no regions, or two share an id.
    """
    if not regions.height:
        raise InputError(bed, "no region is left to write", "check the annotation, the sites and the settings")
    if regions["id"].is_duplicated().any():
        twice = regions.filter(pl.col("id").is_duplicated())["id"][0]
        raise InputError(f"{bed}, region {twice!r}", "two regions have this id", "give every record an id of its own")
    with contextlib.ExitStack() as stack:
        bed, fasta, parquet = (stack.enter_context(write_beside(path)) for path in (bed, fasta, parquet))
        bed.write_text("".join(_bed_lines(regions)), encoding="utf-8")
        write_fasta(fasta, regions.select("id", "sequence").iter_rows())
        regions.write_parquet(parquet, compression="zstd")
