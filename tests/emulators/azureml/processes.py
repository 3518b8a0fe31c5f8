"""The processes of one attempt of a job: started together, watched, asked to end, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.emulators.azureml.guard import VARIABLE, kill_all_with

__all__ = ["Processes", "Start"]


@dataclass(frozen=True)
class Start:
    """One process to start: its command in bash, where, with what, and the file of what it prints."""

    command: str
    folder: Path
    environment: Mapping[str, str]
    log: Path


class Processes:
    """One process a rank, each in its own process group.

    Args:
        whole_group: ask every process of a group to end, not its first one only.
    """

    def __init__(self, starts: Sequence[Start], *, whole_group: bool) -> None:
        self._whole_group = whole_group
        self._identity = tuple(f"{name}={starts[0].environment[name]}" for name in (VARIABLE, "AZUREML_RUN_ID"))
        self._running = [self._start(start) for start in starts]

    @property
    def process_ids(self) -> list[int]:
        return [process.pid for process in self._running]

    def exit_code(self) -> int | None:
        """0 when all ended well, the first bad code as soon as there is one, None while they run."""
        codes = [process.poll() for process in self._running]
        bad = next((code for code in codes if code), None)
        if bad is not None:
            return bad
        return None if None in codes else 0

    def ask_to_end(self, grace_s: float) -> None:
        """SIGTERM, then wait for as long as `grace_s`, as a node does that is about to go."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                if self._whole_group:
                    os.killpg(process.pid, signal.SIGTERM)
                elif process.poll() is None:
                    process.terminate()
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(process.poll() is None for process in self._running):
            time.sleep(0.02)

    def end(self) -> None:
        """Kill what is left, also what a process started and left behind: the node is gone."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        kill_all_with(*self._identity)
        for process in self._running:
            process.wait()

    def _start(self, start: Start) -> subprocess.Popen[bytes]:
        with start.log.open("ab") as log:
            return subprocess.Popen(
                ["bash", "-c", start.command],
                cwd=start.folder,
                env=dict(start.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
