"""Downloads that resume, are verified and leave a record; and local files taken in their place."""

import contextlib
import email.utils
import errno
import gzip
import ipaddress
import logging
import os
import posixpath
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3.exceptions

from nucleobert import __version__
from nucleobert.errors import InputError
from nucleobert.files import digest_of, read_json, write_beside, write_json

logger = logging.getLogger("nucleobert")

Sleep = Callable[[float], None]

_BLOCK = 1 << 20
_TIMEOUT = (30.0, 120.0)
_LONGEST_WAIT = 60.0
_LONGEST_RETRY_AFTER = 600.0
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_ERRORS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError,
                   urllib3.exceptions.HTTPError)  # fmt: skip


class _PassingFault(Exception):
    """A fault that may be gone at the next attempt; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(
    url: str,
    target: str | os.PathLike[str],
    checksum: str = "record",
    *,
    record: str | os.PathLike[str],
    size: int | None = None,
    allow_http: bool = False,
    attempts: int = 6,
    sleep: Sleep = time.sleep,
) -> dict[str, Any]:
    """Download `url` to `target`, verify it, and write `record` (JSON: url, sha256, bytes, fetched_at).

    The bytes collect in ``<target>.part``; the address and the server's ETag or date in ``<target>.part.json`` let a
    later call go on where an earlier one stopped, provided that the file on the server has not changed. Proxies and
    certificates come from the environment, as with every program that uses requests.

    Parameters
    ----------
    checksum
        ``sha256:<hex>``, ``md5:<hex>``, ``md5sums:<url>`` (the publisher's list, searched for the file's name in
        `url`), or ``record``: the digest is kept in ``<target>.known.json``, and a later download of the same `url`
        must have the same.
    size
        Expected bytes, for the check of the disk when the server does not say.
    allow_http
        Permit http:// for other hosts than this machine.
    attempts
        Failures in a row, without a byte gained, after which to give up.

    Raises
    ------
    InputError
        If the address is refused or not found, the server keeps failing, the disk is too small, or the file is damaged
        or not the expected one. A wrong file is removed; an incomplete one stays, to be resumed.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _check_address(url, allow_http)
    part, known = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.known.json")
    state = part.with_name(f"{part.name}.json")
    with requests.Session() as session:
        session.headers.update({"User-Agent": f"nucleobert/{__version__}", "Accept-Encoding": "identity"})
        expected = _expected_digest(session, url, checksum, allow_http, attempts, sleep)
        if expected is None and known.exists() and read_json(known)["url"] == url:
            expected = ("sha256", read_json(known)["sha256"])
        _retrying(
            lambda: _download(session, url, part, state, size, allow_http),
            url,
            attempts,
            sleep,
            lambda: part.stat().st_size if part.exists() else 0,
        )
    try:
        sha256 = _verified(part, target.name, expected, url)
    except InputError:
        part.unlink()
        state.unlink(missing_ok=True)
        raise
    fetched = {
        "url": url,
        "sha256": sha256,
        "bytes": part.stat().st_size,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(known, {"url": url, "sha256": sha256})
    os.replace(part, target)
    state.unlink(missing_ok=True)
    write_json(record, fetched)
    return fetched


def link_local(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    checksum: str = "record",
    *,
    record: str | os.PathLike[str],
    allow_http: bool = False,
    attempts: int = 6,
    sleep: Sleep = time.sleep,
) -> dict[str, Any]:
    """Verify the local file `path`, make `target` an absolute symbolic link to it, and write `record`.

    The record (JSON: path, sha256, bytes) has no time, so that a rerun gives the same bytes. `checksum` is as for
    `fetch`; with ``record`` only the end of a gzip stream is checked.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, or not the expected one.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "the file does not exist", "check the source's path in the config")
    with requests.Session() as session:
        expected = _expected_digest(session, str(path), checksum, allow_http, attempts, sleep)
    sha256 = _verified(path, path.name, expected, path)
    with write_beside(target) as beside:
        beside.symlink_to(path.absolute())
    taken = {"path": str(path), "sha256": sha256, "bytes": path.stat().st_size}
    write_json(record, taken)
    return taken


def _check_address(url: str, allow_http: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and (allow_http or _is_this_machine(parts.hostname or "")):
        return
    if parts.scheme == "http":
        raise InputError(url, "http:// is refused, as anybody on the way can change the file", "use https://")
    raise InputError(url, "not an https address", "give an address that begins with https://, or a path")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _retrying(
    action: Callable[[], Any], url: str, attempts: int, sleep: Sleep, gained: Callable[[], int] = lambda: 0
) -> Any:
    """Return what `action` returns; repeat it after passing faults, with waits of 1, 2, 4 ... seconds.

    The count of attempts starts again whenever `gained` (bytes so far) has grown.
    """
    failures, before = 0, gained()
    while True:
        try:
            return action()
        except (_PassingFault, *_PASSING_ERRORS) as error:
            now = gained()
            failures = 1 if now > before else failures + 1
            before = now
            reason = " ".join(str(error).split())
            if failures >= attempts:
                raise InputError(
                    url,
                    f"the download failed {failures} times in a row ({reason})",
                    "check the network and run the same command again: it goes on where it stopped",
                ) from error
            asked = error.wait if isinstance(error, _PassingFault) else None
            wait = min(2.0 ** (failures - 1), _LONGEST_WAIT) if asked is None else asked
            logger.info("%s: %s; next attempt in %g s", url, reason, wait)
            sleep(wait)


def _answer(session: requests.Session, url: str, allow_http: bool, headers: dict[str, str]) -> requests.Response:
    """Return the open answer to a GET; raise `_PassingFault` or `InputError` for a status that is no success."""
    response = session.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    if response.ok or response.status_code == 416:
        for hop in (*response.history, response):
            _check_address(hop.url, allow_http)
        return response
    response.close()
    reason = f"the server answered {response.status_code} {response.reason}"
    if response.status_code not in _PASSING_STATUS:
        raise InputError(url, reason, "check the address in the source table or give the file's path in the config")
    wait = _retry_after(response.headers.get("Retry-After", ""))
    if wait is not None and wait > _LONGEST_RETRY_AFTER:
        raise InputError(url, f"{reason} and asks to wait {wait:.0f} s", "run the same command again later")
    raise _PassingFault(reason, wait)


def _retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After header, which has a number or a date; None where it has neither."""
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, until.timestamp() - time.time())


def _expected_digest(
    session: requests.Session, name: str, checksum: str, allow_http: bool, attempts: int, sleep: Sleep
) -> tuple[str, str] | None:
    """Return (algorithm, digest) from a checksum of the source table; None for ``record``."""
    kind, _, value = checksum.partition(":")
    if kind != "md5sums":
        return (kind, value) if value else None
    _check_address(value, allow_http)

    def read() -> str:
        with _answer(session, value, allow_http, {}) as response:
            return response.text

    wanted = posixpath.basename(unquote(urlsplit(name).path))
    for line in _retrying(read, value, attempts, sleep).splitlines():
        digest, _, listed = line.strip().partition(" ")
        if posixpath.basename(listed.strip().lstrip("*")) == wanted:
            return "md5", digest.lower()
    raise InputError(value, f"the list of MD5 sums does not name {wanted}", "give the file's sha256 in the config")


def _download(session: requests.Session, url: str, part: Path, state: Path, size: int | None, allow_http: bool) -> None:
    """Bring `part` to its full length, going on from its end when the server still has the same file."""
    headers: dict[str, str] = {}
    have = part.stat().st_size if part.exists() else 0
    kept = read_json(state) if state.exists() else {}
    if have and kept.get("url") == url and kept.get("validator"):
        headers = {"Range": f"bytes={have}-", "If-Range": kept["validator"]}
    with _answer(session, url, allow_http, headers) as response:
        content_range = response.headers.get("Content-Range", "")
        if response.status_code == 416:
            if content_range == f"bytes */{have}":
                return
            part.unlink()
            raise _PassingFault("the server does not have the rest of the file")
        resumed = response.status_code == 206 and content_range.startswith(f"bytes {have}-")
        if response.status_code == 206 and not resumed:
            part.unlink(missing_ok=True)
            raise _PassingFault("the server sent another range than the one asked for")
        start = have if resumed else 0
        if not resumed:
            part.unlink(missing_ok=True)
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        _check_disk(part, (total or size or start) - start)
        etag = response.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        write_json(state, {"url": url, "validator": validator})
        if resumed:
            logger.info("%s: going on at byte %d", url, start)
        blocks = response.raw.stream(_BLOCK, decode_content=False)
        try:
            with open(part, "ab") as file:
                file.writelines(_shown(blocks, part.stem, start, total))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise InputError(
                part.with_suffix(""), "the disk is full", f"free space on that of {part.parent}"
            ) from error
    if total is not None and part.stat().st_size < total:
        raise _PassingFault(f"the connection ended after {part.stat().st_size} of {total} bytes")


def _check_disk(part: Path, needed: int) -> None:
    """Raise `InputError` if `needed` more bytes do not fit on the disk of `part`."""
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise InputError(
            part.with_suffix(""),
            f"the download needs {needed} bytes and {free} are free",
            f"free some space on the disk of {part.parent}, or give the file's path in the config",
        )


def _shown(blocks: Iterator[bytes], name: str, start: int, total: int | None) -> Iterator[bytes]:
    """Pass blocks on, telling the progress: one line in a terminal, else a message in the log every 10 % or 100 MB."""
    terminal = sys.stderr.isatty()
    step = 100_000_000 if total is None else max(total // 10, 1)
    done, told = start, start // step
    for block in blocks:
        yield block
        done += len(block)
        text = f"{name}: {done / 1e6:.1f}" + (f" of {total / 1e6:.1f} MB" if total else " MB")
        if terminal:
            sys.stderr.write(f"\r{text}")
        elif done // step > told:
            told = done // step
            logger.info(text)
    if terminal:
        sys.stderr.write("\n")


def _verified(path: Path, name: str, expected: tuple[str, str] | None, place: object) -> str:
    """Return the file's sha256 after checking its digest and, for a name in .gz, that it can be read to its end."""
    if expected is not None:
        algorithm, digest = expected
        found = digest_of(path, algorithm)
        if found != digest:
            raise InputError(
                place,
                f"its {algorithm} is {found} instead of {digest}",
                "fetch it again; if the publisher has changed the file, change the checksum",
            )
    if name.endswith(".gz"):
        _check_gzip(path, place)
    elif path.stat().st_size == 0:
        raise InputError(place, "the file is empty", "fetch it again")
    return digest_of(path)


def _check_gzip(path: Path, place: object) -> None:
    try:
        with open(path, "rb") as raw, gzip.GzipFile(fileobj=raw) as file:
            if not file.peek(1) and not raw.tell():
                raise EOFError("the file is empty")
            while file.read(_BLOCK):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(place, f"the gzip stream is damaged ({error})", "fetch the file again") from error
