"""The source table and the config's overrides."""

from pathlib import Path

import pytest

from nucleobert.errors import InputError
from nucleobert.sources import load_sources, resolve

HEADER = "id\tname\trelease\turl\tfile\tchecksum\tbytes\tlicence\tused_by\tchecked"
ROW = "genome\tGenome\t47\thttps://a.org/v{release}/g.fa.gz\tg.v{release}.fa.gz\tmd5sums:https://a.org/v{release}/MD5SUMS\t12\tCC0\tregions\tyes"


def write(folder: Path, *rows: str) -> Path:
    path = folder / "sources.tsv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_the_bundled_table_holds_what_the_workflow_needs(root: Path) -> None:
    table = load_sources(root / "resources" / "sources.tsv")
    needed = {"annotation", "genome", "m6a_sites", "ythdf2_sites", "half_lives", "deg_positive", "deg_negative"}
    assert needed | {"polya_windows"} <= set(table)
    assert all("{" not in resolve(name, table).url for name in needed)


def test_release_is_filled_in_and_can_be_changed(tmp_path: Path) -> None:
    table = load_sources(write(tmp_path, ROW))
    assert resolve("genome", table).url == "https://a.org/v47/g.fa.gz"
    older = resolve("genome", table, {"release": 46})
    assert (older.url, older.file, older.checksum) == (
        "https://a.org/v46/g.fa.gz",
        "g.v46.fa.gz",
        "md5sums:https://a.org/v46/MD5SUMS",
    )


def test_an_own_file_does_not_inherit_the_tables_checksum(tmp_path: Path) -> None:
    table = load_sources(write(tmp_path, ROW))
    own = resolve("genome", table, {"path": "/data/mine.fa"})
    assert (own.path, own.url, own.file, own.checksum, own.bytes) == ("/data/mine.fa", "", "mine.fa", "record", None)
    sha = "AB" * 32
    other = resolve("genome", table, {"url": "https://b.org/x%20y.fa.gz?raw=1", "sha256": sha})
    assert (other.file, other.checksum) == ("x y.fa.gz", f"sha256:{sha.lower()}")


def test_a_source_of_the_config_alone(tmp_path: Path) -> None:
    table = load_sources(write(tmp_path, ROW))
    assert resolve("mine", table, {"path": "a.tsv", "url": None}).file == "a.tsv"
    with pytest.raises(InputError, match=r"sources\.mine: not a source of the table"):
        resolve("mine", table)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"pth": "x"}, r"sources\.genome\.pth: unknown key"),
        ({"path": "x", "url": "https://y"}, "path and url exclude each other"),
        ({"sha256": "0", "md5": "1"}, "sha256 and md5 exclude each other"),
    ],
)
def test_bad_overrides_are_named(tmp_path: Path, overrides: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve("genome", load_sources(write(tmp_path, ROW)), overrides)


def test_a_source_without_address_asks_for_a_path(tmp_path: Path) -> None:
    table = load_sources(write(tmp_path, ROW.replace("https://a.org/v{release}/g.fa.gz", "", 1)))
    with pytest.raises(InputError, match=r"set sources\.genome\.path to your copy"):
        resolve("genome", table)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("md5sums:https", "md4:https"), r":2, checksum: .* give sha256"),
        (ROW.replace("https://a.org/v{release}/g", "http://a.org/g", 1), r":2, url"),
        (ROW.replace("\t12\t", "\tmany\t"), r":2, bytes: 'many' does not fit; give the size in bytes"),
        (ROW.replace("\tCC0", ""), r":2: 9 cells instead of 10"),
        (ROW.replace("genome", "Genome", 1), r":2, id"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_sources(write(tmp_path, row))
    assert "\n" not in str(caught.value)


def test_bad_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=":3: a second source with the id 'genome'"):
        load_sources(write(tmp_path, ROW, ROW))
    path = tmp_path / "x.tsv"
    path.write_text("id\turl\n")
    with pytest.raises(InputError, match=r"x\.tsv:1: the columns are id, url"):
        load_sources(path)
