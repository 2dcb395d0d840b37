"""Files: nothing half-written, damaged input named."""

import gzip

import pytest

from nucleobert.errors import InputError
from nucleobert.files import digest_of, open_text, read_json, write_beside, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_beside(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")

    def fail():
        with write_beside(target) as beside:
            beside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_a_folder(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "stale").touch()
    with write_beside(target) as beside:
        beside.mkdir()
        (beside / "fresh").touch()
    assert [path.name for path in target.iterdir()] == ["fresh"]


@pytest.mark.parametrize("kept", [3, 20, -6])
def test_a_truncated_gzip_is_named(tmp_path, kept):
    path = tmp_path / "sites.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t1\t2\n" * 1000)[:kept])
    with pytest.raises(InputError, match=r"sites\.bed\.gz: the gzip stream is damaged"), open_text(path) as text:
        text.read()


def test_text_is_read_plain_and_gzipped(tmp_path):
    plain, zipped = tmp_path / "a", tmp_path / "b"
    plain.write_text("é\n", encoding="utf-8")
    zipped.write_bytes(gzip.compress("é\n".encode()))
    for path in (plain, zipped):
        with open_text(path) as text:
            assert text.read() == "é\n"


def test_a_missing_file_and_a_binary_file_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"), open_text(tmp_path / "no.gtf"):
        pass
    (tmp_path / "x").write_bytes(b"ab\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"), open_text(tmp_path / "x") as text:
        text.read()


def test_equal_values_give_equal_json(tmp_path):
    write_json(tmp_path / "a", {"b": 1, "a": [1.5]})
    write_json(tmp_path / "b", {"a": [1.5], "b": 1})
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")
    assert read_json(tmp_path / "a") == {"a": [1.5], "b": 1}
