"""Count what a split leaks and what its classes give away; stop above the threshold.

Reads the items and the split; writes the audit as JSON and the data card as Markdown.
"""

import logging

from nucleobert.datasets import read_origin
from nucleobert.files import write_json
from nucleobert.job import run_job
from nucleobert.leakage import LONGEST, audit_split, card_of, check_leak, write_card
from nucleobert.splits import read_items, read_split


def main(
    *,
    dataset: str,
    split: str,
    audit: str,
    card: str,
    task: str,
    title: str,
    split_name: str,
    max_shared_kmer_share: float | None = None,
    max_length: int = LONGEST,
) -> None:
    """Write audit and card, or neither if more than `max_shared_kmer_share` of the test items leak (see check_leak)."""
    found = audit_split(read_items(dataset), read_split(split), task=task, name=split_name, max_length=max_length)
    for statement in found["statements"]:
        logging.getLogger(__name__).info("%s", statement["text"])
    check_leak(found, max_shared_kmer_share, split)
    origin = read_origin(dataset)
    write_json(audit, found | {"origin": origin})
    write_card(card, card_of(found, origin, title))


if "snakemake" in globals():
    run_job(globals()["snakemake"], main)
