"""Commands that the benchmarks start: their environment, their logs, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sets import CACHE

HERE = Path(__file__).resolve().parent


def environment() -> dict[str, str]:
    """No network; frame stores go where the benchmarks keep theirs."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "ETUDE_CACHE": str(CACHE), "PYTHONUNBUFFERED": "1"}


def script(name: str, *arguments: str) -> list[str]:
    """The command of a Python file of this folder."""
    return [sys.executable, str(HERE / name), *arguments]


def console_script(name: str, *arguments: str) -> list[str]:
    """The command that a user types, of this environment."""
    return [str(Path(sys.executable).with_name(name)), *arguments]


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own; whatever is left of the group at the end is killed.

    Its standard error is kept in a file and shown when it failed; standard input and output are pipes.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        signal.signal(signal.SIGTERM, _end)
        try:
            yield process
        finally:
            if process.poll() not in (None, 0):
                log.seek(0)
                print(f"{' '.join(command)}\n{log.read()[-2000:]}", file=sys.stderr)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(command: list[str]) -> float:
    """Run a command to its end; returns the seconds it took, or ends the benchmark when it failed."""
    began = time.monotonic()
    with started(command) as process:
        process.communicate()
        if process.returncode != 0:
            sys.exit(f"exit code {process.returncode}: {' '.join(command[:3])} …")
    return time.monotonic() - began


def _end(number: int, _: object) -> None:
    # Leave through every `finally`, so that no child outlives the benchmark.
    sys.exit(128 + number)
