"""The default config with settings changed."""

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from nucleobert.config import Config
from nucleobert.sources import load_sources


@functools.cache
def _default(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "config.yaml").read_text())


def made_config(root: Path, results: Path, change: Callable[[dict[str, Any]], object] = lambda values: None) -> Config:
    """Return the default config for m6A-BERT-Deg alone, two trials and a folder of results, after a change to it."""
    values = copy.deepcopy(_default(root)) | {"run": ["m6abert"], "search": {"trials": 2}}
    values["pathvars"]["results"] = str(results)
    change(values)
    sources = load_sources(root / "resources" / "sources.tsv")
    return Config(values, root / "schemas" / "config.schema.yaml", set(sources))
