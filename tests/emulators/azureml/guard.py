"""Ends everything that an emulator started, also when the process that held the emulator was killed.

Run as `python guard.py MARKER FOLDER`. Standard input is a pipe from the emulator's process: when it closes, for
whatever reason, every process whose environment holds `ETUDE_EMULATOR=MARKER` is killed and FOLDER is deleted.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

__all__ = ["VARIABLE", "processes_with"]

VARIABLE = "ETUDE_EMULATOR"


def processes_with(*entries: str) -> list[int]:
    """Process ids whose environment holds all of `entries` (`NAME=VALUE`)."""
    wanted = [entry.encode() for entry in entries]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended, or it is someone else's
            continue
        if all(entry in environment for entry in wanted) and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def kill_all_with(*entries: str) -> None:
    """Kill until none is left: a process may start another one while it is being killed."""
    for _ in range(50):
        alive = processes_with(*entries)
        if not alive:
            return
        for process in alive:
            try:
                os.kill(process, signal.SIGKILL)
            except OSError:  # it ended meanwhile
                continue


def main(marker: str, folder: str) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill_all_with(f"{VARIABLE}={marker}")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
