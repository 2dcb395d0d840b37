"""Gene annotation: a GTF becomes a table with one row a transcript.

Works on GENCODE, Ensembl and RefSeq (NCBI, UCSC) files. Coordinates in the table are 0-based and half-open.

The coding span includes the stop codon, whatever the file's convention. GENCODE and Ensembl leave the stop codon out of
the CDS and give it lines of its own (``stop_codon``); RefSeq counts it into the CDS and has no such lines. The rule:
where a transcript has stop_codon lines, its coding span is extended to them; where it has none, its CDS is taken to end
with the stop codon. The 3'UTR therefore starts after the stop codon, as Ensembl's ``three_prime_utr`` does; GENCODE's
``UTR`` lines of the 3' side begin three nucleotides earlier, with the stop codon.
"""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import polars as pl

from nucleobert.errors import InputError
from nucleobert.files import open_text

logger = logging.getLogger(__name__)

OffGenome = Literal["drop", "error"]

ANNOTATION_SCHEMA = pl.Schema(
    [
        ("gene_id", pl.String),
        ("gene_name", pl.String),
        ("gene_type", pl.String),
        ("transcript_id", pl.String),
        ("transcript_type", pl.String),
        ("chrom", pl.String),
        ("start", pl.Int64),
        ("end", pl.Int64),
        ("strand", pl.String),
        ("exon_starts", pl.List(pl.Int64)),
        ("exon_ends", pl.List(pl.Int64)),
        ("cds_start", pl.Int64),
        ("cds_end", pl.Int64),
        ("tags", pl.List(pl.String)),
    ]
)

_GTF_COLUMNS = ("chrom", "source", "feature", "start", "end", "score", "strand", "frame", "attributes")
_PARTS = ("exon", "CDS", "stop_codon")
_FEATURES = (*_PARTS, "transcript", "gene")
_VALUE = r'(?:^|;)\s*{} "([^"]+)"'
_PAR_COPY = "_PAR_Y"
_NCBI_TRANSCRIPT_TYPES = {"mRNA": "protein_coding", "lnc_RNA": "lncRNA"}


def _attribute(name: str) -> pl.Expr:
    """Return the value of a GTF attribute, null where it is missing or empty."""
    return pl.col("attributes").str.extract(_VALUE.format(name))


def _scan(gtf: str | os.PathLike[str]) -> pl.LazyFrame:
    schema = {name: pl.Int64 if name in ("start", "end") else pl.String for name in _GTF_COLUMNS}
    return pl.scan_csv(
        Path(gtf),
        separator="\t",
        has_header=False,
        comment_prefix="#",
        quote_char=None,
        schema=schema,
        glob=False,
        truncate_ragged_lines=True,
    ).filter(pl.col("chrom").is_not_null())


def _refuse(gtf: str | os.PathLike[str]) -> InputError:
    """Return the error for the first line of `gtf` that is not GTF, found by reading it line by line."""
    with open_text(gtf) as lines:
        for number, line in enumerate(lines, start=1):
            if line.startswith("#") or not line.strip():
                continue
            place, fields = f"{gtf}:{number}", line.rstrip("\r\n").split("\t")
            if len(fields) < len(_GTF_COLUMNS):
                return InputError(
                    place, f"{len(fields)} tab-separated columns, a GTF line has 9", "give an annotation in GTF format"
                )
            _, _, feature, start, end, _, strand, _, attributes = fields[: len(_GTF_COLUMNS)]
            if not (start.isdigit() and end.isdigit() and 1 <= int(start) <= int(end)):
                return InputError(
                    place, f"start {start!r} and end {end!r} are not a 1-based interval", "correct or remove the line"
                )
            if feature not in _FEATURES:
                continue
            if strand not in ("+", "-"):
                return InputError(place, f"the strand is {strand!r}, not '+' or '-'", "correct or remove the line")
            needed = ("gene_id",) if feature == "gene" else ("gene_id", "transcript_id")
            for name in needed:
                if not re.search(_VALUE.format(name), attributes):
                    return InputError(
                        place,
                        f"the attribute {name} is missing",
                        f'give a GTF (not GFF3) whose {feature} lines have {name} "..."',
                    )
    return InputError(gtf, "cannot be read as GTF", "give an annotation in GTF format, plain or gzipped")


def _read_lines(gtf: str | os.PathLike[str]) -> pl.DataFrame:
    """Return the lines of the features that are used, in file order, with the ids; coordinates 0-based, half-open.

    Attributes are kept only for gene and transcript lines.
    """
    head = pl.col("feature").is_in(["gene", "transcript"])
    used = pl.col("feature").is_in(_FEATURES)
    scan = _scan(gtf).filter(used | pl.col("attributes").is_null())
    try:
        lines = scan.select(
            "chrom",
            "feature",
            pl.col("start") - 1,
            "end",
            "strand",
            _attribute("gene_id").alias("gene_id"),
            _attribute("transcript_id").alias("transcript_id"),
            pl.when(head).then("attributes").alias("attributes"),
        ).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError):
        raise _refuse(gtf) from None
    sound = (
        pl.col("feature").is_in(_FEATURES)
        & pl.col("strand").is_in(["+", "-"])
        & pl.col("gene_id").is_not_null()
        & ((pl.col("feature") == "gene") | pl.col("transcript_id").is_not_null())
        & (pl.col("start") >= 0)
        & (pl.col("start") < pl.col("end"))
    )
    if not lines.select(sound.fill_null(False).all()).item():
        raise _refuse(gtf)
    return lines


def _drop_copies(lines: pl.DataFrame, gtf: str | os.PathLike[str]) -> pl.DataFrame:
    """Keep one place of each transcript: no PAR copies of chrY, and the first of several places with one id."""
    par = lines.filter((pl.col("feature") == "transcript") & pl.col("transcript_id").str.ends_with(_PAR_COPY))
    if par.height:
        logger.info("%s: %d transcripts of the pseudoautosomal regions dropped on chrY", gtf, par.height)
        lines = lines.filter(~pl.col("transcript_id").str.ends_with(_PAR_COPY))
    transcripts = lines.filter(pl.col("feature") == "transcript")
    copied = transcripts.filter(pl.col("transcript_id").is_duplicated())
    if not copied.height:
        return lines
    ids = copied["transcript_id"].unique()
    logger.info(
        "%s: %d transcript ids stand at several places; the first was kept, %d copies dropped",
        gtf,
        ids.len(),
        copied.height - ids.len(),
    )
    place = (pl.col("feature") == "transcript").cum_sum().over("transcript_id")
    return lines.filter(~pl.col("transcript_id").is_in(ids.implode()) | (place <= 1))


def _read_heads(lines: pl.DataFrame, gtf: str | os.PathLike[str]) -> pl.DataFrame:
    """Return one row a transcript: gene, names, types and tags."""
    heads = lines.filter(pl.col("feature") == "transcript").select("transcript_id", "gene_id", "attributes")
    ids = lines.filter(pl.col("feature") == "exon")["transcript_id"].unique()
    headless = ids.filter(~ids.is_in(heads["transcript_id"].implode()))
    if headless.len():
        first_exons = (
            _scan(gtf)
            .filter(pl.col("feature") == "exon")
            .select(
                _attribute("transcript_id").alias("transcript_id"), _attribute("gene_id").alias("gene_id"), "attributes"
            )
            .filter(pl.col("transcript_id").is_in(headless.implode()))
            .unique("transcript_id", keep="first", maintain_order=True)
            .collect(engine="streaming")
        )
        heads = pl.concat([heads, first_exons])
    gene_type = pl.coalesce(_attribute("gene_type"), _attribute("gene_biotype"))
    gene_name = pl.coalesce(_attribute("gene_name"), _attribute("gene"))
    genes = (
        lines.filter(pl.col("feature") == "gene")
        .unique("gene_id", keep="first", maintain_order=True)
        .select("gene_id", gene_type.alias("type_of_gene"), gene_name.alias("name_of_gene"))
    )
    transcript_type = pl.coalesce(_attribute("transcript_type"), _attribute("transcript_biotype"))
    return (
        heads.join(genes, on="gene_id", how="left")
        .with_columns(
            pl.coalesce(gene_type, "type_of_gene", pl.lit("")).alias("gene_type"),
            pl.coalesce(gene_name, "name_of_gene", pl.lit("")).alias("gene_name"),
            tags=pl.col("attributes")
            .str.extract_all(r'(?:^|;)\s*tag "[^"]+"')
            .list.eval(pl.element().str.extract(r'"([^"]+)"')),
        )
        .with_columns(
            transcript_type=pl.coalesce(transcript_type.replace(_NCBI_TRANSCRIPT_TYPES), "gene_type"),
        )
        .drop("attributes", "type_of_gene", "name_of_gene")
    )


def read_annotation(gtf: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a GTF (plain or gzipped) into one row a transcript that has exons, in the file's order of transcripts.

    Returns
    -------
    pl.DataFrame
        The columns of `ANNOTATION_SCHEMA`. ``start`` and ``end`` span the exons; ``exon_starts`` and ``exon_ends``
        ascend on the genome on both strands; ``cds_start`` and ``cds_end`` span the CDS with its stop codon (see the
        module's rule), null without a CDS; types and names that the file does not give are ``""``.
        Copies of a transcript are dropped and counted in the log: ids that end in ``_PAR_Y``, and every further place
        of an id that has several transcript lines.

    Raises
    ------
    InputError
        If the file is missing, damaged or not GTF (the first bad line is named), a needed attribute is missing, there
        are no exons, or the exons of one transcript overlap or lie on several contigs or strands.
    """
    lines = _drop_copies(_read_lines(gtf), gtf)
    exons = lines.filter(pl.col("feature") == "exon").with_row_index("row")
    if not exons.height:
        raise InputError(gtf, "there are no exon lines", "give an annotation in GTF format with exons")
    exons = exons.sort("transcript_id", "start")
    previous_end = pl.col("end").shift(1).over("transcript_id")
    several = pl.any_horizontal(
        pl.col(name) != pl.col(name).shift(1).over("transcript_id") for name in ("chrom", "strand")
    )
    broken = exons.filter(several | (pl.col("start") < previous_end))
    if broken.height:
        raise InputError(
            f"{gtf}, transcript {broken['transcript_id'][0]!r}",
            "its exons overlap, or lie on several contigs or strands",
            "give every transcript an id of its own",
        )
    transcripts = exons.group_by("transcript_id").agg(
        pl.col("row").min(),
        pl.col("chrom", "strand").first(),
        exon_starts=pl.col("start"),
        exon_ends=pl.col("end"),
        start=pl.col("start").min(),
        end=pl.col("end").max(),
    )
    coding = (
        lines.filter(pl.col("feature").is_in(["CDS", "stop_codon"]))
        .group_by("transcript_id")
        .agg(cds_start=pl.col("start").min(), cds_end=pl.col("end").max())
    )
    annotation = (
        transcripts.join(coding, on="transcript_id", how="left")
        .join(_read_heads(lines, gtf), on="transcript_id", how="inner")
        .sort("row")
        .select(ANNOTATION_SCHEMA.names())
        .cast(ANNOTATION_SCHEMA)
    )
    logger.info(
        "%s: %d genes, %d transcripts, %d with a CDS",
        gtf,
        annotation["gene_id"].n_unique(),
        annotation.height,
        annotation["cds_start"].count(),
    )
    return annotation


def check_contigs(chroms: Iterable[str], lengths: Mapping[str, int], place: object) -> list[str]:
    """Return the contigs in `chroms` that the genome lacks, sorted, after logging their number.

    Parameters
    ----------
    chroms
        Contig names of an annotation or a site table.
    lengths
        Length of every contig of the genome, by name.
    place
        The file that names the contigs, for messages.

    Raises
    ------
    InputError
        If the genome has none of them; the message says so if a ``chr`` prefix is the difference.
    """
    named = sorted(set(chroms))
    missing = [chrom for chrom in named if chrom not in lengths]
    if named and len(missing) == len(named):
        for chrom in named:
            other = chrom.removeprefix("chr") if chrom.startswith("chr") else f"chr{chrom}"
            if other in lengths:
                raise InputError(
                    place,
                    f"the contig names do not match: this file names {chrom!r}, the genome {other!r}",
                    "take both from one publisher, or add or remove 'chr' in one of them",
                )
        raise InputError(
            place,
            f"none of its contigs ({', '.join(named[:3])}{', ...' if len(named) > 3 else ''}) is in the genome "
            f"({', '.join(list(lengths)[:3])}{', ...' if len(lengths) > 3 else ''})",
            "use files of the same assembly",
        )
    if missing:
        logger.info(
            "%s: %d of its %d contigs are not in the genome (%s, ...)", place, len(missing), len(named), missing[0]
        )
    return missing


def restrict_to_genome(
    annotation: pl.DataFrame, lengths: Mapping[str, int], off_genome: OffGenome, place: object
) -> pl.DataFrame:
    """Return the transcripts that lie on the genome.

    Transcripts on contigs that the genome lacks (scaffolds, or a genome that is a slice) are dropped and counted in the
    log. Transcripts beyond the end of a contig are an error, or dropped and counted if `off_genome` is ``"drop"``.

    Raises
    ------
    InputError
        If no contig is shared (see `check_contigs`), or a transcript ends beyond its contig under ``"error"``.
    """
    missing = check_contigs(annotation["chrom"], lengths, place)
    present = annotation.filter(~pl.col("chrom").is_in(missing))
    beyond = pl.col("end") > pl.col("chrom").replace_strict(dict(lengths), return_dtype=pl.Int64)
    over = present.filter(beyond)
    if over.height and off_genome == "error":
        first = over.row(0, named=True)
        raise InputError(
            f"{place}, transcript {first['transcript_id']!r}",
            f"it ends at {first['end']}, beyond the end of {first['chrom']} ({lengths[first['chrom']]} nt)",
            "use files of the same assembly, or set off_genome: drop if the genome is a slice",
        )
    kept = present.filter(~beyond)
    logger.info(
        "%s: %d transcripts on the genome; dropped: %d on missing contigs, %d beyond a contig's end",
        place,
        kept.height,
        annotation.height - present.height,
        over.height,
    )
    return kept
