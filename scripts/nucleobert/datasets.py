"""Labelled sequences: from FASTA files, or from regions and a table that says something of their genes.

An items table has the columns of `ITEM_SCHEMA` and holds the whole natural set, in file order. ``chrom``, ``start``
and ``end`` (genomic, 0-based, half-open; of spliced regions the span) are ``""`` and -1 where unknown. ``site`` is an
offset in the sequence, -1 if there is none. Gene ids are compared without their version.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pybedtools
from numpy.typing import NDArray

from nucleobert.errors import InputError
from nucleobert.files import open_text, write_beside
from nucleobert.regions import read_sites
from nucleobert.sequences import read_fasta
from nucleobert.tools import require_tool

logger = logging.getLogger(__name__)

ITEM_SCHEMA = pl.Schema(
    [
        ("id", pl.String),
        ("sequence", pl.String),
        ("label", pl.Int8),
        ("group", pl.String),
        ("chrom", pl.String),
        ("start", pl.Int64),
        ("end", pl.Int64),
        ("site", pl.Int32),
    ]
)
_ORIGIN = "nucleobert.origin"
_REGION_COLUMNS = (
    "id", "chrom", "start", "end", "strand", "gene_id", "block_starts", "block_sizes", "site", "sequence",
)  # fmt: skip
_MISSING = {"", "NA", "NaN", "nan"}
_GDC_SUMMARY = "N_"

Origin = dict[str, Any]


def without_version(gene_id: str) -> str:
    """Return a gene id without its version; the copy on Y of a pseudoautosomal gene stays another gene.

    >>> without_version("ENSG00000182378.15"), without_version("ENSG00000182378.15_PAR_Y")
    ('ENSG00000182378', 'ENSG00000182378_PAR_Y')
    """
    stem, dot, rest = gene_id.partition(".")
    version, underscore, copy = rest.partition("_")
    return stem + underscore + copy if dot and version.isdigit() else gene_id


def read_table(path: str | os.PathLike[str], columns: Sequence[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read a TSV file with one header line, plain or gzipped; lines that start with ``#`` and empty lines are skipped.

    Parameters
    ----------
    columns
        The columns to read; ``""`` stands for the first.

    Returns
    -------
    tuple
        The columns' names, and per line its number and its values in those columns.

    Raises
    ------
    InputError
        If a column is missing, a line is short, or there are no lines.
    """
    header: list[str] | None = None
    rows = []
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.rstrip("\r\n").split("\t")
            if header is None:
                header = fields
                missing = [name for name in columns if name and name not in header]
                if missing:
                    found = ", ".join(header[:12]) + (", ..." if len(header) > 12 else "")
                    raise InputError(
                        f"{path}:{number}",
                        f"no column {missing[0]!r} (columns: {found})",
                        "name a column that the table has",
                    )
                where = [header.index(name) if name else 0 for name in columns]
            elif len(fields) <= max(where):
                raise InputError(
                    f"{path}:{number}",
                    f"{len(fields)} tab-separated values, {len(header)} are needed",
                    "fetch or repair the file",
                )
            else:
                rows.append((number, [fields[index] for index in where]))
    if header is None or not rows:
        raise InputError(path, "the table has no rows", "give a table with a header line and at least one row")
    return [header[index] for index in where], rows


def read_regions(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a regions table (see `nucleobert.regions`).

    Raises
    ------
    InputError
        If a column is missing, or there are no regions.
    """
    regions = pl.read_parquet(Path(path))
    missing = [name for name in _REGION_COLUMNS if name not in regions.columns]
    if missing:
        raise InputError(
            path, f"no column {missing[0]!r} (columns: {', '.join(regions.columns)})", "extract the regions again"
        )
    if regions.is_empty():
        raise InputError(path, "there are no regions", "check the annotation and the sites")
    return regions


def _number(text: str, place: str) -> float | None:
    if text.strip() in _MISSING:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(place, f"{text!r} is not a number", "write a number, or NA where it is unknown") from None


def _from_regions(regions: pl.DataFrame, labels: Mapping[str, int]) -> pl.DataFrame:
    """Return the items of the regions whose gene (without version) has a label; the gene is the group."""
    genes = pl.Series("group", [without_version(gene) for gene in regions["gene_id"]], dtype=pl.String)
    label = pl.Series("label", [labels.get(gene) for gene in genes], dtype=pl.Int8)
    items = regions.with_columns(genes, label).filter(pl.col("label").is_not_null())
    return items.select(pl.col(name).cast(dtype) for name, dtype in ITEM_SCHEMA.items())


# Kinds of dataset


def from_fasta(
    positive: str | os.PathLike[str], negative: str | os.PathLike[str], flank: int | None
) -> tuple[pl.DataFrame, Origin]:
    """Label the records of two FASTA files.

    Parameters
    ----------
    positive, negative
        Records of label 1 and 0.
    flank
        Sequences of 2 * `flank` + 1 nt have their site in the centre; None if there are no sites.

    Raises
    ------
    InputError
        As `nucleobert.sequences.read_fasta`; or if a record of one file has the id of one of the other.
    """
    tables = []
    for label, path in ((1, positive), (0, negative)):
        records = read_fasta(path)
        tables.append(
            pl.DataFrame({"id": list(records), "sequence": list(records.values())}).with_columns(
                label=pl.lit(label, pl.Int8), group=pl.lit(""), chrom=pl.lit(""), start=-1, end=-1
            )
        )
    shared = tables[0].join(tables[1], on="id", how="semi")
    if len(shared):
        raise InputError(
            f"{negative}, record {shared['id'][0]!r}",
            f"{positive} has this id too",
            "give every record an id of its own",
        )
    site = pl.lit(-1)
    if flank is not None:
        site = pl.when(pl.col("sequence").str.len_bytes() == 2 * flank + 1).then(flank).otherwise(-1)
    items = (
        pl.concat(tables)
        .with_columns(site=site)
        .select(pl.col(name).cast(dtype) for name, dtype in ITEM_SCHEMA.items())
    )
    return items, {"kind": "fasta", "files": [Path(positive).name, Path(negative).name], "counts": {}}


def site_positions(regions: pl.DataFrame) -> list[int]:
    """Return the genomic position (0-based) of each region's site, -1 where it has none.

    The site is an offset in the spliced sequence, in its orientation. Where a region is shorter than its sequence, the
    sequence was padded over an end of the contig: over its start if the region begins at 0, else over its end.
    """
    positions = []
    columns = ("start", "strand", "block_starts", "block_sizes", "site", "sequence")
    for start, strand, starts, sizes, site, sequence in regions.select(columns).iter_rows():
        blocks = [
            (start + int(low), int(size))
            for low, size in zip(starts.strip(",").split(","), sizes.strip(",").split(","), strict=True)
        ]
        left = site if strand == "+" else len(sequence) - 1 - site
        if start == 0:
            left -= len(sequence) - sum(size for _, size in blocks)
        position = -1
        for low, size in blocks:
            if site >= 0 and 0 <= left < size:
                position = low + left
                break
            left -= size
        positions.append(position)
    return positions


def read_values(path: str | os.PathLike[str], column: str) -> dict[str, float]:
    """Read a value per gene from a TSV file whose first column holds gene ids; NA and empty values are left out.

    Raises
    ------
    InputError
        As `read_table`; if a value is not a number, or a gene has two.
    """
    values: dict[str, float] = {}
    for number, (gene_id, text) in read_table(path, ("", column))[1]:
        gene, value = without_version(gene_id), _number(text, f"{path}:{number}, column {column!r}")
        if value is None or np.isnan(value):
            continue
        if gene in values:
            raise InputError(f"{path}:{number}", f"the gene {gene} has two values", "keep one row a gene")
        values[gene] = value
    return values


def _bound(regions: pl.DataFrame, readers: str | os.PathLike[str]) -> pl.DataFrame:
    """Return the regions whose site lies in a reader's peak on the same strand."""
    peaks = read_sites(readers)
    if not set(peaks["chrom"]) & set(regions["chrom"]):
        raise InputError(
            readers,
            f"names {peaks['chrom'][0]!r}, the regions {regions['chrom'][0]!r}: no contig in common",
            "give peaks on the same assembly, with the same contig names",
        )
    sites = [
        (chrom, position, position + 1, str(row), ".", strand)
        for row, (chrom, strand, position) in enumerate(
            zip(regions["chrom"], regions["strand"], site_positions(regions), strict=True)
        )
        if position >= 0
    ]
    require_tool("bedtools")
    points = pybedtools.BedTool(sites)
    spans = pybedtools.BedTool([(c, s, e, ".", ".", strand) for c, s, e, strand, _ in peaks.iter_rows()])
    return regions[sorted(int(hit.name) for hit in points.intersect(spans, u=True, s=True))]


def from_sites(
    regions: str | os.PathLike[str],
    readers: str | os.PathLike[str],
    values: str | os.PathLike[str],
    column: str,
    threshold: float,
) -> tuple[pl.DataFrame, Origin]:
    """Label the site windows that a reader binds by a value of their gene.

    Parameters
    ----------
    regions
        Site windows; those whose site lies in a peak of `readers` on the same strand are taken.
    readers
        Peaks, BED6.
    values
        TSV with gene ids in its first column.
    column, threshold
        The label is 1 where the gene's value in `column` is at least `threshold`. Genes without one are dropped.
    """
    windows = read_regions(regions)
    bound = _bound(windows, readers)
    known = read_values(values, column)
    items = _from_regions(bound, {gene: int(value >= threshold) for gene, value in known.items()})
    counts = {
        "windows": len(windows),
        "bound by the reader": len(bound),
        "dropped, in no gene": int((bound["gene_id"] == "").sum()),
        "dropped, gene without a value": len(bound) - len(items) - int((bound["gene_id"] == "").sum()),
    }
    return items, {
        "kind": "sites",
        "files": [Path(path).name for path in (regions, readers, values)],
        "rule": f"label 1: {column} >= {threshold:g}",
        "counts": counts,
    }


def from_localisation(
    regions: str | os.PathLike[str], locations: str | os.PathLike[str], positive: str
) -> tuple[pl.DataFrame, Origin]:
    """Label transcript ends by where their gene's RNA is found.

    Parameters
    ----------
    regions
        Transcript ends.
    locations
        TSV with the columns gene_id and location; a gene may have several rows.
    positive
        The label is 1 where it is among the gene's locations. Genes without a location are dropped.
    """
    ends = read_regions(regions)
    places: dict[str, set[str]] = {}
    for _, (gene_id, location) in read_table(locations, ("gene_id", "location"))[1]:
        if location.strip() not in _MISSING:
            places.setdefault(without_version(gene_id), set()).add(location.strip())
    found = sorted(set().union(*places.values()))
    if positive not in found:
        raise InputError(
            f"{locations}, column 'location'", f"{positive!r} does not occur", f"choose from: {', '.join(found[:12])}"
        )
    items = _from_regions(ends, {gene: int(positive in of_gene) for gene, of_gene in places.items()})
    return items, {
        "kind": "localisation",
        "files": [Path(regions).name, Path(locations).name],
        "rule": f"label 1: {positive}",
        "counts": {"transcript ends": len(ends), "dropped, gene without a location": len(ends) - len(items)},
    }


def read_star_counts(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read TPM by gene from a GDC STAR-counts file (``# gene-model`` line, header, four ``N_`` rows, genes).

    Raises
    ------
    InputError
        As `read_table`; if a value is not a number, a gene stands twice, or there are no genes.
    """
    values: dict[str, float] = {}
    for number, (gene_id, text) in read_table(path, ("gene_id", "tpm_unstranded"))[1]:
        if gene_id.startswith(_GDC_SUMMARY):
            continue
        gene, value = without_version(gene_id), _number(text, f"{path}:{number}, column 'tpm_unstranded'")
        if value is None:
            raise InputError(f"{path}:{number}", f"{gene_id} has no TPM", "fetch the file again")
        if gene in values:
            raise InputError(f"{path}:{number}", f"{gene_id} stands twice", "fetch the file again")
        values[gene] = value
    if not values:
        raise InputError(path, "there are no genes", "give a GDC STAR-counts file")
    return values


def median_expression(samples: Sequence[str | os.PathLike[str]]) -> tuple[list[str], NDArray[np.float32]]:
    """Return the genes and their median TPM over GDC STAR-counts files, shape (genes,).

    Files are read one at a time; held are 4 bytes a gene and sample.

    Raises
    ------
    InputError
        As `read_star_counts`; or if the files differ in their genes.
    """
    genes: list[str] = []
    columns = []
    for path in samples:
        values = read_star_counts(path)
        if not genes:
            genes = list(values)
        if values.keys() != set(genes):
            raise InputError(path, f"its genes are not those of {samples[0]}", "give samples of one GDC data release")
        columns.append(np.fromiter((values[gene] for gene in genes), dtype=np.float32, count=len(genes)))
    return genes, np.median(np.stack(columns), axis=0)


def from_expression(
    regions: str | os.PathLike[str], samples: Sequence[str | os.PathLike[str]], low: float, high: float
) -> tuple[pl.DataFrame, Origin]:
    """Label TSS windows by their gene's median expression.

    Parameters
    ----------
    regions
        TSS windows.
    samples
        GDC STAR-counts files.
    low, high
        Quantiles, 0-1, of the medians of the genes that have a window: above the `high` one the label is 1, at or below
        the `low` one it is 0, between them a gene is dropped.
    """
    if not 0 <= low <= high <= 1:
        raise InputError("config: low, high", f"{low} and {high} are no quantiles", "use 0 <= low <= high <= 1")
    windows = read_regions(regions)
    genes, medians = median_expression(samples)
    present = {without_version(gene) for gene in windows["gene_id"]}
    chosen = {gene: float(median) for gene, median in zip(genes, medians, strict=True) if gene in present}
    if not chosen:
        raise InputError(
            samples[0], f"none of its genes ({genes[0]}, ...) has a region", "give an annotation with the same gene ids"
        )
    below, above = np.quantile(list(chosen.values()), [low, high])
    labels = {gene: int(value > above) for gene, value in chosen.items() if value > above or value <= below}
    items = _from_regions(windows, labels)
    unmeasured = sum(without_version(gene) not in chosen for gene in windows["gene_id"])
    return items, {
        "kind": "expression",
        "files": [Path(regions).name, f"{len(samples)} STAR-counts files"],
        "rule": f"label 1: median TPM > {above:.4g}; label 0: <= {below:.4g}",
        "counts": {
            "windows": len(windows),
            "dropped, gene not in the samples": unmeasured,
            "dropped, between the quantiles": len(windows) - len(items) - unmeasured,
        },
    }


# Writing


def write_items(path: str | os.PathLike[str], items: pl.DataFrame, origin: Origin) -> None:
    """Write an items table as Parquet, with what it was made from in the file's metadata.

    Parameters
    ----------
    origin
        kind, files (names), rule and counts (of what was dropped, in words).

    Raises
    ------
    InputError
        If there are no items, all have one label, or two have one id.
    """
    place, counts = " + ".join(origin["files"]), ", ".join(f"{name}: {n}" for name, n in origin["counts"].items())
    told = f" ({counts})" if counts else ""
    if items.is_empty():
        raise InputError(place, f"no item is left{told}", "check that the files belong together")
    if items["label"].n_unique() < 2:
        raise InputError(
            place,
            f"all {len(items)} items are of one class, label {items['label'][0]}{told}",
            "check threshold and files",
        )
    twice = items.filter(pl.col("id").is_duplicated())
    if len(twice):
        raise InputError(
            f"{place}, record {twice['id'][0]!r}", "two records have this id", "give every record its own id"
        )
    logger.info("%d items, %d of them positive%s", len(items), items["label"].sum(), told)
    with write_beside(path) as beside:
        items.write_parquet(beside, compression="zstd", metadata={_ORIGIN: json.dumps(origin)})


def read_origin(path: str | os.PathLike[str]) -> Origin:
    """Return what an items table was made from; {} if it does not say."""
    return json.loads(pl.read_parquet_metadata(Path(path)).get(_ORIGIN, "{}"))
