"""Runs the workflow in a folder of its own, in the environment that runs the tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

TINY = ("presets/demo.yaml", "tests/workflow/tiny.yaml")


class Workflow:
    """Runs Snakemake on this checkout's Snakefile in `folder`."""

    def __init__(self, root: Path, folder: Path, configs: tuple[str, ...] = TINY) -> None:
        self.root, self.folder, self.configs = root, folder, configs
        folder.mkdir(parents=True, exist_ok=True)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line; two jobs at a time."""
        configs = [str(self.root / config) for config in self.configs]
        options = ["--snakefile", str(self.root / "Snakefile"), "--directory", str(self.folder), "--cores", "2"]
        return [sys.executable, "-m", "snakemake", *options, "--configfile", *configs, "--", *arguments]

    def run(self, *targets: str, options: tuple[str, ...] = (), environment: dict[str, str] | None = None):
        """Run to the end; return the finished process with its output as text."""
        command = self.command(*targets)
        place = command.index("--")
        return subprocess.run(
            command[:place] + list(options) + command[place:],
            cwd=self.root,
            env={**os.environ, **(environment or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def must(self, *targets: str, **keywords):
        """Run to the end and insist on success; return the output."""
        done = self.run(*targets, **keywords)
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def start(self, *targets: str) -> subprocess.Popen:
        """Start in a process group of its own."""
        with open(self.folder / "killed.log", "a") as log:
            return subprocess.Popen(
                self.command(*targets), cwd=self.root, start_new_session=True, stdout=log, stderr=log
            )

    @staticmethod
    def kill(process: subprocess.Popen) -> None:
        """End the whole group as kill -9 or a power cut does."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
