"""Splits of labelled items into train, dev and test parts, made before balancing.

Two schemes. `published` is the procedure of the m6A-BERT-Deg authors (Brief Bioinform 2024, bbae170), which divides
windows at random whatever they share. `grouped` divides clusters: items that share a word, a locus, a gene or an
MMseqs2 cluster stand in one part.

Reading items and splits needs neither bedtools nor polars, so that every environment of the workflow can do it.
"""

import logging
import os
import random
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from nucleobert.errors import InputError
from nucleobert.files import write_beside
from nucleobert.kmers import kmer_links
from nucleobert.sequences import write_fasta
from nucleobert.tools import require_tool

logger = logging.getLogger(__name__)

PARTS = ("train", "dev", "test")
ITEM_COLUMNS = ("id", "sequence", "label", "group", "chrom", "start", "end", "site")
SPLIT_COLUMNS = ("id", "fold", "part", "cluster")

_MMSEQS_KMERS = 200

Labels = NDArray[np.int8]
Indices = NDArray[np.int64]
Edges = tuple[NDArray[Any], NDArray[Any]]


def read_items(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read an items table (see `nucleobert.datasets`), in file order.

    Raises
    ------
    InputError
        If a column is missing.
    """
    items = pd.read_parquet(path)
    missing = [name for name in ITEM_COLUMNS if name not in items.columns]
    if missing:
        raise InputError(
            path, f"no column {missing[0]!r} (columns: {', '.join(map(str, items))})", "build the dataset again"
        )
    return items


def read_split(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a split: id, fold, part and cluster of every item of every fold, in file order."""
    types: dict[str, Any] = {"id": str, "fold": int, "part": str, "cluster": str}
    return pd.read_csv(path, sep="\t", dtype=types, keep_default_na=False)


def items_of(items: pd.DataFrame, split: pd.DataFrame, fold: int, part: str) -> pd.DataFrame:
    """Return the items of one part of one fold, in the order of the split.

    Raises
    ------
    InputError
        If the fold has no such part, or an item of it is unknown.
    """
    ids = split.loc[(split["fold"] == fold) & (split["part"] == part), "id"]
    if ids.empty:
        raise InputError(f"split, fold {fold}", f"no {part} items", "name a fold that the split has")
    rows = items.set_index("id", drop=False).index.get_indexer(pd.Index(ids))
    if (rows < 0).any():
        raise InputError(
            f"split, item {ids.iloc[int(np.argmin(rows))]!r}", "not among the items", "split the dataset again"
        )
    return items.iloc[rows].reset_index(drop=True)


# Clusters


def _edges_by_locus(items: pd.DataFrame) -> Edges:
    """Link overlapping intervals (0-based, half-open, on either strand) of each contig, in a chain."""
    located = items.reset_index(drop=True)
    located = located[(located["chrom"] != "") & (located["start"] >= 0)].sort_values(["chrom", "start", "end"])
    reach = located.groupby("chrom", sort=False)["end"].cummax().to_numpy()
    chrom, start, rows = located["chrom"].to_numpy(), located["start"].to_numpy(), located.index.to_numpy()
    overlaps = (chrom[1:] == chrom[:-1]) & (start[1:] < reach[:-1])
    return rows[:-1][overlaps], rows[1:][overlaps]


def _edges_by_name(names: pd.Series) -> Edges:
    """Link items of one non-empty name to the first of them."""
    codes = pd.factorize(names.where(names != "", None))[0]
    rows = np.flatnonzero(codes >= 0)
    _, first, which = np.unique(codes[rows], return_index=True, return_inverse=True)
    return rows, rows[first][which]


def mmseqs_clusters(sequences: Sequence[str], *, identity: float, coverage: float, threads: int = 1) -> Indices:
    """Cluster nucleotide sequences by MMseqs2's linclust, on both strands, connected components of its matches.

    Parameters
    ----------
    sequences
        In the letters A, C, G, T and N.
    identity
        Least identity of an alignment, 0-1.
    coverage
        Least share of the shorter-or-equal sequence that the alignment covers, 0-1.
    threads
        Does not change the result.

    Returns
    -------
    NDArray
        For each sequence the index of one that stands for its cluster, shape (sequences,).

    Raises
    ------
    InputError
        If MMseqs2 is not installed or fails.
    """
    require_tool("mmseqs")
    with tempfile.TemporaryDirectory(prefix="nucleobert-mmseqs-") as folder:
        write_fasta(Path(folder, "in.fa"), ((str(index), sequence) for index, sequence in enumerate(sequences)))
        command = ["mmseqs", "easy-linclust", "in.fa", "out", "work", "--dbtype", "2"]
        command += ["--min-seq-id", str(identity), "-c", str(coverage), "--cov-mode", "1", "--cluster-mode", "1"]
        command += ["--kmer-per-seq", str(_MMSEQS_KMERS), "--threads", str(threads), "-v", "1"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            told = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
            raise InputError("mmseqs easy-linclust", told, "check memory and disk, or leave out `identity`")
        pairs = pd.read_csv(Path(folder, "out_cluster.tsv"), sep="\t", header=None, names=["of", "member"])
    clusters = np.arange(len(sequences))
    clusters[pairs["member"].to_numpy()] = pairs["of"].to_numpy()
    return clusters


def cluster_items(
    items: pd.DataFrame, *, kmer: int = 31, identity: float | None = None, coverage: float = 0.8, threads: int = 1
) -> Indices:
    """Join items that must not stand on both sides of a split.

    Two items are joined, directly or over others, if they share a word of `kmer` nucleotides on either strand, overlap
    on the genome, have the same non-empty group, or are in one MMseqs2 cluster.

    Parameters
    ----------
    items
        As `read_items` returns them.
    kmer
        Length of the word, at most 31.
    identity, coverage
        As in `mmseqs_clusters`; without an identity MMseqs2 is not used.

    Returns
    -------
    NDArray
        The cluster of each item, numbered by first appearance, shape (items,).
    """
    sequences = items["sequence"].tolist()
    edges = [kmer_links(sequences, kmer), _edges_by_locus(items), _edges_by_name(items["group"])]
    if identity is not None:
        clusters = mmseqs_clusters(sequences, identity=identity, coverage=coverage, threads=threads)
        edges.append((np.arange(len(items)), clusters))
    rows, columns = (np.concatenate(side) for side in zip(*edges, strict=True))
    links = coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(items), len(items)))
    return pd.factorize(connected_components(links, directed=False)[1])[0]


# Schemes


def published_parts(labels: Labels, seed: int) -> NDArray[np.str_]:
    """Divide items as the m6A-BERT-Deg authors did.

    The negatives are shuffled with Python's generator and cut to the number of positives; scikit-learn then takes 0.2
    of each class as test and 0.1 of the rest as dev. Seed 52 gives the split that they shipped.

    Returns
    -------
    NDArray
        The part of each item, ``""`` for negatives that are left out, shape (items,).
    """
    positive, negative = (np.flatnonzero(labels == label).tolist() for label in (1, 0))
    random.Random(seed).shuffle(negative)
    parts = np.full(len(labels), "", dtype="<U5")
    for rows in (positive, negative[: len(positive)]):
        if len(rows) < len(PARTS):
            raise InputError("items", f"a class with {len(rows)} items has no three parts", "give more items")
        rest, test = train_test_split(rows, test_size=0.2, random_state=seed)
        train, dev = train_test_split(rest, test_size=0.1, random_state=seed)
        for part, chosen in zip(PARTS, (train, dev, test), strict=True):
            parts[chosen] = part
    return parts


def grouped_blocks(labels: Labels, clusters: Indices, folds: int, seed: int) -> Indices:
    """Deal whole clusters to `folds` blocks of like size and share of positives (scikit-learn's StratifiedGroupKFold).

    Returns
    -------
    NDArray
        The block of each item, 0 to `folds` - 1, shape (items,).

    Raises
    ------
    InputError
        If there are fewer than three folds, or a block would lack a class.
    """
    if folds < len(PARTS):
        raise InputError("config: folds", f"{folds} folds leave nothing to train on", "use 3 or more")
    spread = [len(np.unique(clusters[labels == label])) for label in (0, 1)]
    if min(spread) < folds:
        name = ("negative", "positive")[int(np.argmin(spread))]
        raise InputError(
            "items", f"the {name} items form {min(spread)} clusters, too few for {folds} folds", "use fewer folds"
        )
    blocks = np.zeros(len(labels), dtype=np.int64)
    dealer = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for block, (_, rows) in enumerate(dealer.split(np.zeros(len(labels)), labels, clusters)):
        blocks[rows] = block
    for block in range(folds):
        if len(np.unique(labels[blocks == block])) < 2:
            raise InputError("items", f"fold {block} would have one class only", "use fewer folds or another seed")
    return blocks


def balanced(labels: Labels, blocks: Indices, ratio: float, seed: int) -> NDArray[np.bool_]:
    """Choose `ratio` negatives for each positive of each block at random, all where there are fewer.

    A block keeps its choice whichever part it plays, so a part of several blocks is balanced too.

    Returns
    -------
    NDArray
        Whether each item is kept, shape (items,).
    """
    rng = np.random.default_rng(seed)
    kept = labels == 1
    for block in np.unique(blocks):
        negatives = np.flatnonzero((blocks == block) & (labels == 0))
        wanted = round(ratio * int(np.sum((blocks == block) & (labels == 1))))
        if wanted > len(negatives):
            logger.warning("fold %d has %d negatives, %d are wanted; all are kept", block, len(negatives), wanted)
        kept[rng.permutation(negatives)[:wanted]] = True
    return kept


def make_split(
    items: pd.DataFrame,
    *,
    scheme: str,
    seed: int,
    folds: int = 5,
    ratio: float | None = None,
    kmer: int = 31,
    identity: float | None = None,
    coverage: float = 0.8,
    threads: int = 1,
) -> pd.DataFrame:
    """Divide items into train, dev and test.

    Parameters
    ----------
    items
        The whole natural set, as `read_items` returns it.
    scheme
        ``published``: `published_parts` as fold 0. ``grouped``: every block of `grouped_blocks` is the test part of
        one fold and the dev part of the fold before; the rest trains.
    ratio
        Negatives for each positive in every part of a grouped split; None keeps all.
    kmer, identity, coverage, threads
        As in `cluster_items`. The published scheme names the clusters too, and divides them.

    Returns
    -------
    pd.DataFrame
        id, fold, part and cluster, sorted by fold and part, items in their order.
    """
    labels = items["label"].to_numpy(np.int8)
    clusters = cluster_items(items, kmer=kmer, identity=identity, coverage=coverage, threads=threads)
    if scheme == "published":
        parts_of_folds = [published_parts(labels, seed)]
    elif scheme == "grouped":
        blocks = grouped_blocks(labels, clusters, folds, seed)
        kept = np.ones(len(labels), dtype=bool) if ratio is None else balanced(labels, blocks, ratio, seed)
        parts_of_folds = []
        for fold in range(folds):
            parts = np.where(blocks == fold, "test", np.where(blocks == (fold + 1) % folds, "dev", "train"))
            parts_of_folds.append(np.where(kept, parts, ""))
    else:
        raise InputError("config: scheme", f"{scheme!r} is not possible", "allowed: published, grouped")
    rows = [
        pd.DataFrame({"id": items["id"].to_numpy()[chosen], "fold": fold, "part": part, "cluster": clusters[chosen]})
        for fold, parts in enumerate(parts_of_folds)
        for part in PARTS
        for chosen in [np.flatnonzero(parts == part)]
    ]
    return pd.concat(rows, ignore_index=True).astype({"cluster": str})


def write_split(path: str | os.PathLike[str], split: pd.DataFrame) -> None:
    """Write a split as TSV."""
    with write_beside(path) as beside:
        split.to_csv(beside, sep="\t", index=False, columns=list(SPLIT_COLUMNS))
