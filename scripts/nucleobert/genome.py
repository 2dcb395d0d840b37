"""The genome: one clean, indexed FASTA, made once, and reads of many intervals from it.

Coordinates are 0-based and half-open; positions in messages about a FASTA record are 1-based.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import numpy as np
import pyfaidx

from nucleobert.errors import InputError
from nucleobert.files import open_text, write_beside
from nucleobert.sequences import reverse_complement

logger = logging.getLogger(__name__)

_LINE_WIDTH = 60
_CHUNK_BYTES = 1 << 24
_SPACE = b" \t\r\n\v\f"
_BAD, _AMBIGUOUS = b"?", b"n"


def _letter_table() -> bytes:
    """Return the table for bytes.translate: bases in upper case, ambiguity codes as 'n', anything else as '?'."""
    table = bytearray(_BAD * 256)
    for letters, code in ((b"A", b"A"), (b"C", b"C"), (b"G", b"G"), (b"TU", b"T"), (b"N", b"N")):
        for letter in letters + letters.lower():
            table[letter] = code[0]
    for letter in b"RYSWKMBDHV" + b"RYSWKMBDHV".lower():
        table[letter] = _AMBIGUOUS[0]
    return bytes(table)


_LETTERS = _letter_table()


@dataclass(frozen=True)
class GenomeCounts:
    """What `prepare_genome` wrote: records, letters in all, and ambiguity codes that became N."""

    records: int
    bases: int
    ambiguous: int


def _pieces(stream: BinaryIO, path: str | os.PathLike[str]) -> Iterator[tuple[str | None, bytes]]:
    """Yield (id, first bytes) for a record's start and (None, more bytes) for its continuation."""
    begun = False
    while chunk := stream.read(_CHUNK_BYTES):
        chunk += stream.readline()
        continuation, *records = (b"\n" + chunk).split(b"\n>")
        if continuation.strip():
            if not begun:
                raise InputError(path, "sequence before the first '>'", "give a FASTA file")
            yield None, continuation
        for record in records:
            header, _, sequence = record.partition(b"\n")
            words = header.decode("utf-8").split(maxsplit=1)
            if not words:
                raise InputError(path, "a record without an id", "name every record after the '>'")
            begun = True
            yield words[0], sequence


class _FastaWriter:
    """Writes cleaned records in lines of one width, which is what a faidx index needs."""

    def __init__(self, file: BinaryIO, source: str | os.PathLike[str]) -> None:
        self._file, self._source = file, source
        self._name, self._length, self._rest = "", 0, b""
        self._names: set[str] = set()
        self.bases = self.ambiguous = 0

    @property
    def _place(self) -> str:
        return f"{self._source}, record {self._name!r}"

    def start(self, name: str) -> None:
        self.finish()
        self._name, self._length = name, 0
        if name in self._names:
            raise InputError(self._place, "two records have this id", "give every record an id of its own")
        self._names.add(name)
        self._file.write(f">{name}\n".encode())

    def add(self, raw: bytes) -> None:
        letters = raw.translate(_LETTERS, _SPACE)
        bad = letters.find(_BAD)
        if bad >= 0:
            letter = chr(raw.translate(None, _SPACE)[bad])
            raise InputError(
                self._place,
                f"the letter {letter!r} at position {self._length + bad + 1} is not an IUPAC nucleotide code",
                "remove gaps and protein sequences, or mask the position with N",
            )
        ambiguous = letters.count(_AMBIGUOUS)
        if ambiguous:
            self.ambiguous += ambiguous
            letters = letters.replace(_AMBIGUOUS, b"N")
        self._length += len(letters)
        letters = self._rest + letters
        rows = len(letters) // _LINE_WIDTH
        lines = np.full((rows, _LINE_WIDTH + 1), ord("\n"), dtype=np.uint8)
        lines[:, :-1] = np.frombuffer(letters, np.uint8, rows * _LINE_WIDTH).reshape(rows, _LINE_WIDTH)
        self._file.write(lines.tobytes())
        self._rest = letters[rows * _LINE_WIDTH :]

    def finish(self) -> int:
        """End the current record, if there is one; return the number of records so far."""
        if self._names:
            if not self._length:
                raise InputError(self._place, "the record has no sequence", "remove the record or fill it")
            if self._rest:
                self._file.write(self._rest + b"\n")
            self.bases += self._length
            self._rest = b""
        return len(self._names)


def prepare_genome(
    fasta: str | os.PathLike[str], genome: str | os.PathLike[str], index: str | os.PathLike[str]
) -> GenomeCounts:
    """Write `fasta` (plain or gzipped) as an uncompressed, upper-case FASTA at `genome`, and its faidx at `index`.

    Letters follow the rule of `nucleobert.sequences`: soft-masked bases become upper case, U becomes T, IUPAC ambiguity
    codes become N. The id is the header's first word. The file is streamed; memory holds one chunk of 16 MiB and, at
    most, one line of the input. Neither file appears unless both are complete.

    Raises
    ------
    InputError
        If there are no records, two records share an id, a record is empty, a letter is outside IUPAC (the message
        names the record and the 1-based position), or the gzip stream is damaged.
    """
    with write_beside(genome) as beside, write_beside(index) as beside_index:
        with open_text(fasta) as text, open(beside, "wb") as file:
            writer = _FastaWriter(file, fasta)
            for name, raw in _pieces(cast(BinaryIO, text.buffer), fasta):
                if name is not None:
                    writer.start(name)
                writer.add(raw)
            records = writer.finish()
        if not records:
            raise InputError(fasta, "the FASTA file has no records", "give a file with at least one '>' record")
        pyfaidx.Faidx(str(beside), indexname=str(beside_index)).close()
    counts = GenomeCounts(records, writer.bases, writer.ambiguous)
    logger.info(
        "genome: %d records, %d letters, %d ambiguity codes made N", counts.records, counts.bases, counts.ambiguous
    )
    return counts


def read_lengths(index: str | os.PathLike[str]) -> dict[str, int]:
    """Return the length of every contig in nucleotides, in file order, from a faidx index.

    Raises
    ------
    InputError
        If the file is missing, or is not a faidx index.
    """
    lengths: dict[str, int] = {}
    with open_text(index) as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 5 or not fields[1].isdigit():
                raise InputError(f"{index}:{number}", "not a line of a faidx index", "index the genome again")
            lengths[fields[0]] = int(fields[1])
    return lengths


class Genome:
    """A FASTA that is read by its faidx index; a context manager.

    Parameters
    ----------
    path
        An uncompressed FASTA in the letters A, C, G, T, N, as `prepare_genome` writes it.
    index
        Its index; beside it with the suffix ``.fai`` if not given.

    Attributes
    ----------
    lengths
        Length of every contig in nucleotides, in file order.
    """

    def __init__(self, path: str | os.PathLike[str], index: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path)
        index = f"{path}.fai" if index is None else index
        self.lengths = read_lengths(index)
        self._faidx = pyfaidx.Faidx(str(path), indexname=str(index), as_raw=True, rebuild=False, build_index=False)

    def __enter__(self) -> "Genome":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._faidx.close()

    def fetch(self, chrom: str, start: int, end: int, strand: str = "+", *, pad: bool = False) -> str:
        """Return the sequence of [start, end) on `chrom`, reverse-complemented if `strand` is ``"-"``.

        With `pad`, positions before the contig's start or past its end are N; the result has end - start letters in
        either case.

        Raises
        ------
        InputError
            If the contig is not in the genome, or the region reaches outside of it and `pad` is false.
        """
        place = f"{self.path}, region {chrom}:{start}-{end}({strand})"
        if chrom not in self.lengths:
            raise InputError(
                place, f"the genome has no contig {chrom!r}", "use an annotation and sites of the same assembly"
            )
        length = self.lengths[chrom]
        if not pad and (start < 0 or end > length):
            raise InputError(
                place,
                f"the region lies outside its contig, which is {length} nt long",
                "use an annotation and sites of the same assembly, or drop regions off the genome",
            )
        first, last = max(start, 0), min(end, length)
        if first < last:
            inside = str(self._faidx.fetch(chrom, first + 1, last))
            sequence = "N" * (first - start) + inside + "N" * (end - last)
        else:
            sequence = "N" * (end - start)
        return reverse_complement(sequence) if strand == "-" else sequence

    def fetch_blocks(self, chrom: str, blocks: list[tuple[int, int]], strand: str) -> str:
        """Return the spliced sequence of `blocks` ((start, end) in ascending order), in the strand's orientation.

        Raises
        ------
        InputError
            As `fetch` without padding.
        """
        spliced = "".join(self.fetch(chrom, start, end) for start, end in blocks)
        return reverse_complement(spliced) if strand == "-" else spliced
