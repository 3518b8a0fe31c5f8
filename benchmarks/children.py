"""Commands that the benchmarks start: their environment, their logs, and their end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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


class Child:
    """A process group that stands still until it is let go, and says JSON, one object a line.

    Two of them can share a machine fairly: only one at a time is let go.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._process = self._stack.enter_context(started(self._command))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        self._stack.__exit__(kind, error, trace)

    def let_go(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        self._signal(signal.SIGSTOP)

    def ask(self, question: dict[str, Any]) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next thing it says.

        Raises:
            ChildProcessError: it ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise ChildProcessError(f"it ended: {' '.join(self._command)}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


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
