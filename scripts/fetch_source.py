"""Bring one source to its place: download it, or link the local file that the config names; write the record.

Reads the network, or the local file. Writes the file and a JSON record with its sha256.
"""

from typing import Any

from nucleobert.fetching import fetch, link_local
from nucleobert.job import run_job


def main(
    *,
    target: str,
    record: str,
    source: dict[str, Any],
    local: str | None = None,
    allow_http: bool = False,
    attempts: int = 6,
) -> None:
    """Fetch or link one source.

    Parameters
    ----------
    target, record
        Where the file and its record (JSON) go.
    source
        The fields of a resolved `nucleobert.sources.Source`.
    local
        A local file, if the workflow gives it as an input; it goes before the source's own path.
    allow_http
        Permit plain http.
    attempts
        Failures in a row after which to give up.
    """
    if path := local or source["path"]:
        link_local(path, target, source["checksum"], record=record, allow_http=allow_http, attempts=attempts)
    else:
        fetch(
            source["url"],
            target,
            source["checksum"],
            record=record,
            size=source["bytes"],
            allow_http=allow_http,
            attempts=attempts,
        )


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
