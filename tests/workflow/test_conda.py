"""Every rule runs in an environment that holds what it imports: --use-conda, started from Snakemake alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow import TINY


@pytest.fixture(scope="module")
def snakemake_alone(tmp_path_factory, root) -> Path:
    """An environment that holds Snakemake and nothing that the scripts import."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv is not None
    version = next(
        line.split()[0]
        for line in (root / "requirements.lock").read_text().splitlines()
        if line.startswith("snakemake==")
    )
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", version], check=True)
    return folder


def test_the_declared_packages_are_all_that_the_rules_need(root, tmp_path, snakemake_alone):
    log = tmp_path / "calls.log"
    environment = {
        **os.environ,
        "PATH": f"{root}/tests/conda_standin/bin:{snakemake_alone}/bin:{os.environ['PATH']}",
        "CONDA_STANDIN_LOG": str(log),
        "CONDA_STANDIN_UV": shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv",
        "CONDA_STANDIN_PYTHON": sys.executable,
    }
    command = [
        snakemake_alone / "bin" / "snakemake",
        "--snakefile",
        root / "Snakefile",
        "--directory",
        tmp_path / "work",
    ]
    command += ["--cores", "2", "--use-conda", "--configfile", *(root / config for config in TINY)]
    (tmp_path / "work").mkdir()
    done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-6000:]
    assert (tmp_path / "work" / "results" / "report.html").is_file()
    created = [line for line in log.read_text().splitlines() if line.startswith("env create")]
    assert len(created) == len(list((root / "envs").glob("*.yaml")))
