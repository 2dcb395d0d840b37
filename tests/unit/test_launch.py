"""How a training is spread over processes and nodes, and what becomes of its errors."""

import doctest
import logging
import sys
from pathlib import Path

import pytest

from nucleobert import launch, throughput
from nucleobert.errors import InputError


def refuse(*, threads: int) -> None:
    """Stand for a training that finds bad input."""
    raise InputError("corpus.npy", f"no pieces with {threads} threads", "build it again")


def test_one_process_is_called_here(tmp_path) -> None:
    seen = []
    launch.run(lambda **arguments: seen.append(arguments), {"threads": 3}, processes=1, nodes=1, folder=tmp_path)
    assert seen == [{"threads": 3}]
    assert not list(tmp_path.iterdir())


def test_the_processes_of_one_machine_need_no_meeting_place() -> None:
    command = launch.command("call.json", 4, 1)
    assert command[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert command[3:] == ["--nproc-per-node=4", "--standalone", "-m", "nucleobert.launch", "call.json"]


def test_several_nodes_are_those_of_a_slurm_job(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)
    with pytest.raises(InputError, match=r"config: pretraining\.nodes: 2 nodes, but this is no Slurm job"):
        launch.command("call.json", 4, 2)
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames n[1-2]" ] && printf "n1\\nn2\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[1-2]")
    command = launch.command("call.json", 4, 2)
    assert command[:3] == ["srun", "--nodes=2", "--ntasks-per-node=1"]
    assert {"--nnodes=2", "--nproc-per-node=4", "--rdzv-backend=c10d", "--rdzv-endpoint=n1:29400"} < set(command)


@pytest.mark.slow
def test_bad_input_in_a_process_ends_in_one_line_here(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    monkeypatch.setattr(launch, "_SCRIPTS", f"{launch._SCRIPTS}:{Path(__file__).parent}")
    with caplog.at_level(logging.INFO), pytest.raises(InputError) as told:
        launch.run(refuse, {"threads": 1}, processes=2, nodes=1, folder=tmp_path)
    assert (told.value.place, told.value.remedy) == ("corpus.npy", "build it again")
    assert told.value.problem == "no pieces with 1 threads"
    assert not list(tmp_path.iterdir())


def test_doctests() -> None:
    assert doctest.testmod(throughput) == doctest.TestResults(0, 2)
