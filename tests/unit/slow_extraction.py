"""Regions computed the slow, direct way: one line, one base at a time. The oracle of the extraction tests.

Shares no code with the library: text in, lists of genomic positions (0-based, in transcript orientation), text out.
"""

import gzip
import re
from pathlib import Path
from typing import Any

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def text_of(path: Path) -> str:
    return gzip.open(path, "rt").read() if path.suffix == ".gz" else path.read_text()


def read_genome(path: Path) -> dict[str, str]:
    genome = {}
    for record in text_of(path).split(">")[1:]:
        header, *lines = record.splitlines()
        genome[header.split()[0]] = "".join(lines).upper()
    return genome


def read_transcripts(path: Path) -> dict[str, dict[str, Any]]:
    """One entry a transcript; only the first place of an id counts."""
    transcripts: dict[str, dict[str, Any]] = {}
    places: dict[str, int] = {}
    for line in text_of(path).splitlines():
        if line.startswith("#"):
            continue
        chrom, _, feature, start, end, _, strand, _, attributes = line.split("\t")
        pairs = re.findall(r'(\w+) "([^"]*)"', attributes)
        values = dict(reversed(pairs))
        name = values.get("transcript_id", "")
        if not name or feature == "gene":
            continue
        places[name] = places.get(name, 0) + (feature == "transcript")
        if places[name] > 1 or name.endswith("_PAR_Y"):
            continue
        entry = transcripts.setdefault(
            name,
            {
                "chrom": chrom,
                "strand": strand,
                "gene_id": values["gene_id"],
                "gene_name": values.get("gene_name", ""),
                "types": {values.get("gene_type", values.get("gene_biotype"))}
                | {values.get("transcript_type", values.get("transcript_biotype"))},
                "tags": {value for key, value in pairs if key == "tag"},
                "exonic": [],
                "coding": set(),
            },
        )
        positions = range(int(start) - 1, int(end))
        if feature == "exon":
            entry["exonic"].extend(positions)
        elif feature in ("CDS", "stop_codon"):
            entry["coding"].update(positions)
    for entry in transcripts.values():
        entry["exonic"].sort(reverse=entry["strand"] == "-")
    return transcripts


def utr3(transcript: dict[str, Any]) -> list[int]:
    last = max((i for i, p in enumerate(transcript["exonic"]) if p in transcript["coding"]), default=None)
    return [] if last is None else transcript["exonic"][last + 1 :]


def longest(transcripts: dict[str, dict[str, Any]], kind: str, need_utr3: bool) -> list[str]:
    best: dict[str, str] = {}
    for name, entry in transcripts.items():
        if entry["types"] != {kind}:
            continue
        if need_utr3 and (not utr3(entry) or entry["tags"] & {"mRNA_end_NF", "cds_end_NF"}):
            continue
        rival = best.get(entry["gene_id"])
        if rival is None or (-len(entry["exonic"]), name) < (-len(transcripts[rival]["exonic"]), rival):
            best[entry["gene_id"]] = name
    return list(best.values())


def runs(positions: list[int]) -> list[tuple[int, int]]:
    """Maximal runs of neighbouring positions, ascending, half-open."""
    found: list[list[int]] = []
    for position in sorted(positions):
        if found and found[-1][1] == position:
            found[-1][1] += 1
        else:
            found.append([position, position + 1])
    return [(start, end) for start, end in found]


def spell(genome: dict[str, str], chrom: str, positions: list[int], strand: str) -> str:
    contig, letters = genome[chrom], []
    for position in positions:
        letter = contig[position] if 0 <= position < len(contig) else "N"
        letters.append(COMPLEMENT[letter] if strand == "-" else letter)
    return "".join(letters)


def region(genome: dict[str, str], name: str, entry: dict[str, Any], positions: list[int], site: int) -> dict[str, Any]:
    blocks = runs([p for p in positions if 0 <= p < len(genome[entry["chrom"]])])
    start = blocks[0][0]
    return {
        "id": name,
        "chrom": entry["chrom"],
        "start": start,
        "end": blocks[-1][1],
        "strand": entry["strand"],
        "gene_id": entry["gene_id"],
        "gene_name": entry["gene_name"],
        "transcript_id": entry.get("name", ""),
        "block_starts": ",".join(str(low - start) for low, _ in blocks),
        "block_sizes": ",".join(str(high - low) for low, high in blocks),
        "site": site,
        "sequence": spell(genome, entry["chrom"], positions, entry["strand"]),
    }


def patches(
    genome: dict[str, str], transcripts: dict[str, dict[str, Any]], size: int, min_size: int
) -> list[dict[str, Any]]:
    rows = []
    for name in longest(transcripts, "protein_coding", need_utr3=True):
        entry = transcripts[name] | {"name": name}
        rest, first = utr3(entry), 0
        while rest:
            piece, rest = rest[:size], rest[size:]
            if len(piece) >= min_size:
                rows.append(region(genome, f"{name}:utr3:{first}-{first + len(piece)}", entry, piece, -1))
            first += len(piece)
    return rows


def ends(genome: dict[str, str], transcripts: dict[str, dict[str, Any]], kind: str, size: int) -> list[dict[str, Any]]:
    return [
        region(genome, f"{name}:end", transcripts[name] | {"name": name}, transcripts[name]["exonic"][-size:], -1)
        for name in longest(transcripts, kind, need_utr3=False)
    ]


def starts(genome: dict[str, str], transcripts: dict[str, dict[str, Any]], size: int) -> list[dict[str, Any]]:
    rows = []
    for name in longest(transcripts, "protein_coding", need_utr3=False):
        entry = transcripts[name] | {"name": name}
        first, step = entry["exonic"][0], 1 if entry["strand"] == "+" else -1
        window = [first + step * offset for offset in range(-(size // 2), size - size // 2)]
        rows.append(region(genome, f"{name}:tss", entry, window, size // 2))
    return rows


def windows(
    genome: dict[str, str],
    transcripts: dict[str, dict[str, Any]],
    sites: list[tuple[str, int, str]],
    flank: int,
) -> list[dict[str, Any]]:
    spans: dict[tuple[str, str, str], list[int]] = {}
    names: dict[tuple[str, str, str], str] = {}
    for entry in transcripts.values():
        key = (entry["gene_id"], entry["chrom"], entry["strand"])
        low, high = min(entry["exonic"]), max(entry["exonic"])
        spans.setdefault(key, [low, high])
        spans[key] = [min(low, spans[key][0]), max(high, spans[key][1])]
        names.setdefault(key, entry["gene_name"])
    rows = []
    for chrom, position, strand in dict.fromkeys(sites):
        if position >= len(genome.get(chrom, "")):
            continue
        over = [
            (low, key[0], names[key])
            for key, (low, high) in spans.items()
            if key[1:] == (chrom, strand) and low <= position <= high
        ]
        _, gene_id, gene_name = min(over, default=(0, "", ""))
        entry = {"chrom": chrom, "strand": strand, "gene_id": gene_id, "gene_name": gene_name}
        around = list(range(position - flank, position + flank + 1))
        name = f"{chrom}:{position}-{position + 1}({strand})"
        rows.append(region(genome, name, entry, around[::-1] if strand == "-" else around, flank))
    return rows
