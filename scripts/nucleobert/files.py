"""Reading and writing files so that a failure leaves nothing half-written and bad input is named."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from nucleobert.errors import InputError


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def write_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path`; rename it to `path` when the block ends well, remove it when it does not.

    The block may write a file or create a directory there. What a killed process left there is removed first; one
    process at a time writes a path.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    beside = final.with_name(f".{final.name}.part")
    _remove(beside)
    try:
        yield beside
        if final.is_dir():
            _remove(final)
        beside.replace(final)
    finally:
        _remove(beside)


@contextlib.contextmanager
def open_text(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Open a plain or gzipped text file (told apart by its first bytes) for reading as UTF-8.

    Raises
    ------
    InputError
        If the file is missing, or the gzip stream is damaged or cut short.
    """
    try:
        raw = open(path, "rb")
    except FileNotFoundError:
        raise InputError(path, "the file does not exist", "check the path in the config") from None
    with raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if zipped else raw
        try:
            with io.TextIOWrapper(stream, encoding="utf-8") as text:
                yield text
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(path, f"the gzip stream is damaged ({error})", "fetch the file again") from error
        except UnicodeDecodeError as error:
            raise InputError(
                path, f"not UTF-8 text (byte {error.start})", "check that this is the file you meant"
            ) from error


def digest_of(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as JSON with sorted keys, so that equal values give equal bytes."""
    with write_beside(path) as beside:
        beside.write_text(json.dumps(value, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
