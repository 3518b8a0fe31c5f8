"""Asking for help is quick, and loads nothing that is heavy or optional."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.source import ROOT, SOURCE, imports_at, python_files, room_of, tree_of

HELP_CPU_S = 0.3
HEAVY = (
    "torch",
    "lerobot",
    "azure",
    "mlflow",
    "wandb",
    "numpy",
    "pandas",
    "accelerate",
    "draccus",
    "gymnasium",
)
LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one child process."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    child.returncode = 0
    return usage.ru_utime + usage.ru_stime


def test_help_takes_little_cpu() -> None:
    # CPU time, not the clock, and the best of several: the machine may be busy with something else.
    best = min(cpu_seconds([sys.executable, "-m", "etude.cli", "--help"]) for _ in range(5))
    assert best < HELP_CPU_S, f"{best:.2f} s"


@pytest.mark.parametrize(
    "code",
    [
        "import etude",
        "import etude.errors, etude.extras",
        "from etude.cli import main; main(['--help'])",
        "from etude.cli import main; main(['--version'])",
    ],
)
def test_loads_nothing_heavy(code: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}; {LOADED}"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    loaded = set(json.loads(printed.splitlines()[-1]))
    assert not loaded & set(HEAVY)


LIGHT_ROOMS = ("errors", "extras", "config", "secrets", "runs", "cli", "doctor", "quickstart")


@pytest.mark.parametrize(
    "file",
    [item for item in python_files(SOURCE) if room_of(item) in LIGHT_ROOMS],
    ids=lambda item: str(item.relative_to(SOURCE)),
)
def test_the_lowest_floors_and_the_commands_import_nothing_heavy_at_the_top(file: Path) -> None:
    imported = [item for node in tree_of(file).body for item in imports_at(node, file)]
    heavy = [f"line {item.line}: {item.module}" for item in imported if item.module.split(".")[0] in HEAVY]
    assert not heavy, "import it inside the function that needs it"
