"""Items: labels worked by hand for each kind, positions by a slow walk, bad input named."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import build_dataset_expression
import build_dataset_fasta
import build_dataset_localisation
import build_dataset_sites
from nucleobert import datasets
from nucleobert.errors import InputError
from nucleobert.regions import REGION_SCHEMA
from nucleobert.splits import ITEM_COLUMNS, read_items

HEADER = "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded\tfpkm_unstranded\n"


def region(name: str, gene: str, **of) -> dict:
    base = {"id": name, "chrom": "chr1", "start": 100, "end": 105, "strand": "+", "gene_id": gene, "gene_name": "g"}
    rest = {"transcript_id": "", "block_starts": "0", "block_sizes": "5", "site": 2, "sequence": "ACGTA"}
    return base | rest | of


def write_regions(path: Path, rows: list[dict]) -> str:
    pl.DataFrame(rows, schema=REGION_SCHEMA).write_parquet(path)
    return str(path)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def star(path: Path, tpm: dict[str, float]) -> str:
    summary = "".join(f"N_{name}\t\t\t9\t9\t9\t\t\n" for name in ("unmapped", "multimapping", "noFeature", "ambiguous"))
    genes = "".join(f"{gene}\tname\tprotein_coding\t1\t1\t1\t{value:.4f}\t0.1\n" for gene, value in tpm.items())
    return write(path, f"# gene-model: GENCODE v36\n{HEADER}{summary}{genes}")


# FASTA


def test_fasta_keeps_the_order_and_centres_the_site(tmp_path):
    positive = write(tmp_path / "p.fa", ">p1 more\nACGTA\n>p2\nacg\n")
    negative = tmp_path / "n.fa.gz"
    negative.write_bytes(gzip.compress(b">n1\nGGGGU\n"))
    build_dataset_fasta.main(positive=positive, negative=str(negative), dataset=str(tmp_path / "i.parquet"), flank=2)
    items = read_items(tmp_path / "i.parquet")
    assert list(items) == list(ITEM_COLUMNS)
    assert items["id"].tolist() == ["p1", "p2", "n1"]
    assert items["sequence"].tolist() == ["ACGTA", "ACG", "GGGGT"]
    assert items["label"].tolist() == [1, 1, 0]
    assert items["site"].tolist() == [2, -1, 2]
    assert items["label"].dtype == np.int8
    assert items["site"].dtype == np.int32
    assert items["start"].tolist() == [-1] * 3
    assert datasets.read_origin(tmp_path / "i.parquet")["files"] == ["p.fa", "n.fa.gz"]
    build_dataset_fasta.main(positive=positive, negative=str(negative), dataset=str(tmp_path / "j.parquet"))
    assert read_items(tmp_path / "j.parquet")["site"].tolist() == [-1] * 3


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        (">a\nAC\n", ">a\nGT\n", r"n.fa, record 'a': .*p.fa has this id too"),
        (">a\nAC\n>a\nGT\n", ">b\nGT\n", r"p.fa, record 'a': two records have this id"),
        ("", ">b\nGT\n", r"p.fa: the FASTA file has no records"),
        (">a\nAC\n", ">b\nGXZ\n", r"n.fa, record 'b': the letter 'X' at position 2"),
    ],
)
def test_bad_fasta(tmp_path, positive, negative, message):
    paths = [write(tmp_path / "p.fa", positive), write(tmp_path / "n.fa", negative)]
    with pytest.raises(InputError, match=message):
        build_dataset_fasta.main(positive=paths[0], negative=paths[1], dataset=str(tmp_path / "i.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.fa", "p.fa"]


# Sites


@pytest.fixture
def sites(tmp_path):
    """Six windows: bound or not, on the other strand, without a gene, without a value."""
    return {
        "regions": write_regions(
            tmp_path / "windows.parquet",
            [
                region("high", "G1.4"),
                region("edge", "G2.1", start=200, end=205),
                region("low", "G3.9", start=300, end=305, strand="-", site=1),
                region("beside", "G1.4", start=400, end=405),
                region("other_strand", "G1.4", start=500, end=505),
                region("no_gene", "", start=600, end=605),
                region("no_value", "G4.2", start=700, end=705),
            ],
        ),
        "readers": write(
            tmp_path / "peaks.bed",
            "# peaks\nchr1\t102\t110\ta\t0\t+\nchr1\t190\t203\tb\t0\t+\nchr1\t303\t304\tc\t0\t-\n"
            "chr1\t403\t450\td\t0\t+\n"
            "chr1\t500\t510\te\t0\t-\nchr1\t600\t700\tf\t0\t+\nchr1\t700\t800\tg\t0\t+\nchr1\t101\t103\th\t0\t+\n",
        ),
        "values": write(
            tmp_path / "values.tsv", "gene\tother\tfold\nG1.7\tx\t1.5\nG2\tx\t0.5\nG3\tx\t-2\nG4\tx\tNA\nG5\tx\t1\n"
        ),
    }


def test_sites_worked_by_hand(sites, tmp_path):
    out = tmp_path / "i.parquet"
    build_dataset_sites.main(**sites, dataset=str(out), column="fold", threshold=0.5)
    items = read_items(out)
    assert items["id"].tolist() == ["high", "edge", "low"]
    assert items["label"].tolist() == [1, 1, 0]
    assert items["group"].tolist() == ["G1", "G2", "G3"]
    assert items[["chrom", "start", "end", "site"]].to_numpy().tolist() == [
        ["chr1", 100, 105, 2], ["chr1", 200, 205, 2], ["chr1", 300, 305, 1],
    ]  # fmt: skip
    assert datasets.read_origin(out)["counts"] == {
        "windows": 7, "bound by the reader": 5, "dropped, in no gene": 1, "dropped, gene without a value": 1,
    }  # fmt: skip
    again = tmp_path / "again.parquet"
    build_dataset_sites.main(**sites, dataset=str(again), column="fold", threshold=0.5)
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"threshold": -9.0}, r"values.tsv: all 3 items are of one class, label 1 \(windows: 7, bound"),
        ({"column": "half"}, r"values.tsv:1: no column 'half' \(columns: gene, other, fold\)"),
        ({"values": "gene\tfold\nG1\tx\n"}, r"changed:2, column 'fold': 'x' is not a number"),
        ({"values": "gene\tfold\nG1\t1\nG1.2\t2\n"}, r"changed:3: the gene G1 has two values"),
        ({"values": "gene\tfold\nG1\n"}, r"changed:2: 1 tab-separated values, 2 are needed"),
        ({"values": "gene\tfold\n"}, r"changed: the table has no rows"),
        ({"values": "gene\tfold\nX\t1\n"}, r"no item is left \(windows: 7"),
        ({"readers": "1\t102\t110\ta\t0\t+\n"}, r"changed: names '1', the regions 'chr1': no contig in common"),
        ({"readers": "chr1\t102\t110\ta\t0\n"}, r"changed:1: .*columns"),
    ],
)
def test_bad_sites(sites, tmp_path, changed, message):
    arguments = sites | {"column": "fold", "threshold": 0.5}
    for name, value in changed.items():
        text = name in ("values", "readers")
        arguments[name] = write(tmp_path / "changed", value) if text else value
    with pytest.raises(InputError, match=message):
        build_dataset_sites.main(**arguments, dataset=str(tmp_path / "i.parquet"))
    assert not list(tmp_path.glob("*i.parquet*"))


def test_two_regions_with_one_id_and_a_missing_column(sites, tmp_path):
    rows = [region("a", "G1"), region("a", "G3")]
    sites["regions"] = write_regions(tmp_path / "twice.parquet", rows)
    with pytest.raises(InputError, match=r"record 'a': two records have this id"):
        build_dataset_sites.main(**sites, dataset=str(tmp_path / "i.parquet"), column="fold", threshold=0.5)
    pl.read_parquet(sites["regions"]).drop("site").write_parquet(sites["regions"])
    with pytest.raises(InputError, match=r"no column 'site' \(columns: id, chrom"):
        build_dataset_sites.main(**sites, dataset=str(tmp_path / "i.parquet"), column="fold", threshold=0.5)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_positions_equal_a_slow_walk(data):
    gaps = data.draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 6)), min_size=1, max_size=4))
    edges = np.cumsum([0, *(n for gap in gaps for n in gap)])[1:]
    blocks = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    strand = data.draw(st.sampled_from("+-"))
    bases = [position for low, high in blocks for position in range(low, high)]
    walk = bases if strand == "+" else bases[::-1]
    site = data.draw(st.integers(-1, len(walk) - 1))
    start = blocks[0][0]
    row = region(
        "r", "G", start=start, end=blocks[-1][1], strand=strand, site=site, sequence="A" * len(walk),
        block_starts=",".join(str(low - start) for low, _ in blocks) + ",",
        block_sizes=",".join(str(high - low) for low, high in blocks) + ",",
    )  # fmt: skip
    found = datasets.site_positions(pl.DataFrame([row], schema=REGION_SCHEMA))
    assert found == [walk[site] if site >= 0 else -1]


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("position", [0, 1, 2, 3, 17, 18, 19])
def test_positions_of_windows_padded_at_a_contigs_ends(strand, position):
    """Windows of 3 nt on both sides on a contig of 20 nt: they stop at its ends, their sequence does not."""
    start, end = max(position - 3, 0), min(position + 4, 20)
    row = region("r", "G", start=start, end=end, strand=strand, site=3, sequence="A" * 7, block_sizes=str(end - start))
    assert datasets.site_positions(pl.DataFrame([row], schema=REGION_SCHEMA)) == [position]


# Localisation


def test_localisation_worked_by_hand(tmp_path):
    regions = write_regions(
        tmp_path / "ends.parquet", [region(f"t{i}", f"G{i}.1", site=-1, start=i * 9, end=i * 9 + 5) for i in range(5)]
    )
    rows = ("G0\tx\tnucleus", "G1.8\tx\tcytoplasm", "G1.8\tx\tnucleus", "G2\tx\tcytoplasm", "G3\tx\tNA")
    table = "gene_id\tgene_name\tlocation\n" + "".join(row + "\n" for row in rows)
    arguments = {
        "regions": regions,
        "locations": write(tmp_path / "l.tsv", table),
        "dataset": str(tmp_path / "i.parquet"),
    }
    build_dataset_localisation.main(**arguments, positive="nucleus")
    items = read_items(arguments["dataset"])
    assert dict(zip(items["id"], items["label"], strict=True)) == {"t0": 1, "t1": 1, "t2": 0}
    assert items["site"].tolist() == [-1] * 3
    assert datasets.read_origin(arguments["dataset"])["counts"]["dropped, gene without a location"] == 2
    with pytest.raises(
        InputError, match=r"l.tsv, column 'location': 'Nucleus' does not occur; choose from: cytoplasm, nucleus"
    ):
        build_dataset_localisation.main(**arguments, positive="Nucleus")
    write(tmp_path / "l.tsv", "gene\tlocation\nG0\tnucleus\n")
    with pytest.raises(InputError, match=r"l.tsv:1: no column 'gene_id'"):
        build_dataset_localisation.main(**arguments, positive="nucleus")


# Expression


@pytest.fixture
def expression(tmp_path):
    genes = {"G0.1": (1, 1, 9), "G1.1": (2, 9, 2), "G2.1": (3, 3, 3), "G3.1": (4, 4, 0), "G4.1_PAR_Y": (99, 99, 99)}
    genes["G5.2"] = (0.0, 0.0, 0.0)
    return {
        "regions": write_regions(
            tmp_path / "tss.parquet",
            [region(f"t{i}", f"G{i}.3", start=i * 9, end=i * 9 + 5) for i in range(5)],
        ),
        "samples": [star(tmp_path / f"{i}.tsv", {gene: values[i] for gene, values in genes.items()}) for i in range(3)],
        "dataset": str(tmp_path / "i.parquet"),
    }


def test_expression_worked_by_hand(expression):
    # Medians 1, 2, 3, 4 of the genes with a window; the copy on Y is another gene than G4.
    build_dataset_expression.main(**expression)
    assert read_items(expression["dataset"])["label"].tolist() == [0, 0, 1, 1]
    counts = datasets.read_origin(expression["dataset"])["counts"]
    assert counts["dropped, gene not in the samples"] == 1


def test_expression_quantiles_leave_out_the_middle(expression):
    build_dataset_expression.main(**expression, low=0.0, high=0.9)
    items = read_items(expression["dataset"])
    assert dict(zip(items["id"], items["label"], strict=True)) == {"t0": 0, "t3": 1}
    assert datasets.read_origin(expression["dataset"])["counts"]["dropped, between the quantiles"] == 2


def test_a_median_of_zero_makes_negatives(tmp_path, expression):
    expression["samples"] = [star(tmp_path / "z.tsv", {"G0": 0.0, "G1": 0.0, "G2": 0.0, "G3": 7.0})]
    build_dataset_expression.main(**expression)
    assert read_items(expression["dataset"])["label"].tolist() == [0, 0, 0, 1]


def test_medians_equal_those_of_polars(tmp_path):
    rng = np.random.default_rng(0)
    tpm = rng.gamma(1.0, 20.0, (7, 4)).round(4)
    paths = []
    for sample in range(4):
        order = rng.permutation(7)
        paths.append(star(tmp_path / f"{sample}.tsv", {f"G{i}.1": tpm[i, sample] for i in order}))
    genes, medians = datasets.median_expression(paths)
    expected = pl.DataFrame(tpm).select(pl.concat_list(pl.all()).list.median()).to_series().to_numpy()
    np.testing.assert_allclose([medians[genes.index(f"G{i}")] for i in range(7)], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gene_id\ttpm\nG0\t1\n", r"bad.tsv:1: no column 'tpm_unstranded' \(columns: gene_id, tpm\)"),
        ("gene_id\ttpm_unstranded\nN_unmapped\t\n", r"bad.tsv: there are no genes"),
        ("gene_id\ttpm_unstranded\nG0\t\n", r"bad.tsv:2: G0 has no TPM"),
        ("gene_id\ttpm_unstranded\nG0.1\t1\nG0.2\t1\n", r"bad.tsv:3: G0.2 stands twice"),
        ("gene_id\ttpm_unstranded\nG0\t1\n", r"bad.tsv: its genes are not those of .*0.tsv"),
    ],
)
def test_bad_samples(expression, tmp_path, text, message):
    expression["samples"].append(write(tmp_path / "bad.tsv", text))
    with pytest.raises(InputError, match=message):
        build_dataset_expression.main(**expression)


def test_quantiles_and_genes_that_do_not_fit(expression, tmp_path):
    with pytest.raises(InputError, match=r"0\.9 and 0\.1 are no quantiles"):
        build_dataset_expression.main(**expression, low=0.9, high=0.1)
    expression["samples"] = [star(tmp_path / "x.tsv", {"X1": 1.0})]
    with pytest.raises(InputError, match=r"x.tsv: none of its genes \(X1, ...\) has a region"):
        build_dataset_expression.main(**expression)


# Real tables


def test_the_real_half_lives_are_read(real_data):
    path = real_data / "m6a/half_lives.human.saluki.txt.gz"
    values = datasets.read_values(path, "Bazzini_ActD_HeLa_1")
    with gzip.open(path, "rt") as lines:
        column = next(lines).rstrip("\n").split("\t").index("Bazzini_ActD_HeLa_1")
        known = sum(line.rstrip("\n").split("\t")[column] != "NA" for line in lines)
    assert len(values) == known > 1000
    assert values["ENSG00000000003"] == pytest.approx(-0.014374893184668)
