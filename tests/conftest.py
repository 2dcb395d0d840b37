"""Shared fixtures. The scripts folder is on the path, as it is for a script that Snakemake starts."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("NUCLEOBERT_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "m6a").is_dir():
        pytest.skip(f"no real data at {folder}: set NUCLEOBERT_REAL_DATA")
    return folder
