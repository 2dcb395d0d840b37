# What the rules share: the checked config, where a source's file lies, the digest of a script's code.
import dataclasses
import fcntl
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from nucleobert.config import Config
from nucleobert.errors import InputError
from nucleobert.fingerprint import code_digest
from nucleobert.sources import load_sources, resolve

ROOT = Path(workflow.basedir)

try:
    SOURCE_TABLE = load_sources(ROOT / "resources" / "sources.tsv")
    CONFIG = Config(config, ROOT / "schemas" / "config.schema.yaml", set(SOURCE_TABLE))
    SOURCES = {
        name: resolve(name, SOURCE_TABLE, CONFIG.source(name))
        for name in CONFIG.sources_used()
    }
except InputError as error:
    sys.exit(f"nucleobert: error: {error}")


def code(script):
    """Return the digest of scripts/<script>.py and of the library modules it uses."""
    return code_digest(ROOT / "scripts" / f"{script}.py")


def fetched(source):
    """Return the path of a source's file once it is fetched."""
    return f"<downloads>/{SOURCES[source].file}"


def regions_of(kind):
    """Return the wildcard pattern of the region sets of a kind."""
    return one_of(
        name for name, region in CONFIG["regions"].items() if region["kind"] == kind
    )


def one_of(names):
    """Return a wildcard pattern that matches the given names only."""
    return "|".join(names) or "(?!)"


def fold_folders(system, task, split, variant):
    """Return the folders, one a fold, of the runs of one line of the benchmark."""
    return expand(
        "<results>/models/{task}/{split}/{variant}/fold{fold}",
        task=task,
        split=split,
        variant=variant.name,
        fold=CONFIG.folds(task, split),
    )


wildcard_constraints:
    corpus=one_of(CONFIG["corpora"]),
    fold=r"\d+",
    k="[3-6]",
    split=one_of(
        {split for task in CONFIG["tasks"].values() for split in task["splits"]}
    ),
    task=one_of(CONFIG["tasks"]),
    variant=one_of(CONFIG.all_variants),


def hold_folder():
    """Hold the working directory for this run, as Snakemake's own lock does, but let go of it even when killed."""
    global HELD
    HELD = open(".snakemake/nucleobert.lock", "w")
    try:
        fcntl.flock(HELD, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(
            f"nucleobert: error: {Path.cwd()}: another run is at work in this folder; wait for it or stop it"
        )
    except OSError:
        logger.warning(
            "this file system has no locks: start no second run in this folder"
        )


onstart:
    hold_folder()
