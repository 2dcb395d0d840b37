"""Bad input ends the workflow with one line that names file, place and remedy, and leaves no partial output."""

import gzip

import pytest
import yaml

from workflow import TINY, Workflow


def text_of(path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def edited(change):
    """Return a damage that rewrites the text of a gzipped file."""
    return lambda path: gzip.compress(change(text_of(path)).encode())


def without_chr(text: str) -> str:
    return "".join(line.removeprefix("chr") for line in text.splitlines(keepends=True))


def first_columns(text: str, count: int) -> str:
    return "".join("\t".join(line.split("\t")[:count]).rstrip("\n") + "\n" for line in text.splitlines())


def all_one(text: str) -> str:
    header, *lines = text.splitlines()
    return "\n".join([header, *(line.rsplit("\t", 1)[0] + "\t1.0" for line in lines)]) + "\n"


# What is damaged, how, the stage that meets it, and a part of what is said.
CASES = {
    "a genome without records": (
        "genome.fa.gz", edited(lambda text: ""), "extract", "the FASTA file has no records",
    ),
    "a truncated gzip": (
        "genome.fa.gz", lambda path: path.read_bytes()[:5000], "extract", "the gzip stream is damaged",
    ),
    "letters outside IUPAC": (
        "genome.fa.gz", edited(lambda text: text.replace("\nA", "\nZ", 1)), "extract", "the letter 'Z' at",
    ),
    "two records with one id": (
        "genome.fa.gz", edited(lambda text: text.replace(">chr2", ">chr1")), "extract", "record 'chr1'",
    ),
    "contigs that do not match": (
        "annotation.gtf.gz", edited(without_chr), "extract", "names '1', the genome 'chr1'",
    ),
    "a site table with a missing column": (
        "m6a_sites.bed.gz", edited(lambda text: first_columns(text, 5)), "extract", "column",
    ),
    "a site beyond its contig": (
        "m6a_sites.bed.gz",
        edited(lambda text: text + "chr1\t999999999\t1000000000\tx\t0\t+\n"),
        "extract",
        "beyond the end of chr1",
    ),
    "a task of one class": ("half_lives.tsv.gz", edited(all_one), "datasets", "class"),
}  # fmt: skip


@pytest.fixture(scope="module")
def demo_files(root, tmp_path_factory):
    """The tiny demo's inputs, generated once."""
    workflow = Workflow(root, tmp_path_factory.mktemp("inputs"))
    workflow.must("fetch")
    return workflow.folder / "resources" / "demo"


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_leaves_nothing(root, tmp_path, demo_files, case):
    name, damage, target, message = CASES[case]
    sources = yaml.safe_load((root / "presets" / "demo.yaml").read_text())["sources"]
    for source in sources.values():
        source["path"] = str(demo_files / source["path"].removeprefix("resources/demo/"))
        if source["path"].endswith(f"/{name}"):
            damaged = tmp_path / name
            damaged.write_bytes(damage(demo_files / name))
            source["path"] = str(damaged)
    config = tmp_path / "sources.yaml"
    config.write_text(yaml.safe_dump({"sources": sources}))
    workflow = Workflow(root, tmp_path / "work", (*TINY, str(config)))
    done = workflow.run(target)
    assert done.returncode != 0
    told = {line for line in done.stdout.splitlines() if line.startswith("nucleobert: error: ")}
    assert len(told) == 1, done.stdout[-3000:]
    line = told.pop()
    assert message in line
    assert name in line or case == "a task of one class", line
    assert "; " in line
    assert "Traceback" not in done.stdout
    assert not list(workflow.folder.rglob("*.part"))
