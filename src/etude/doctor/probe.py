"""Trying something in a process of its own: a broken driver or library may crash or hang the one it is in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Probe", "run_probe"]

_ANSWER = "import importlib, json, sys; print(json.dumps(importlib.import_module(sys.argv[1]).look(*sys.argv[2:])))"


@dataclass(frozen=True)
class Probe:
    """What a probe said.

    Attributes:
        ok: it ran to its end.
        facts: what it saw.
        error: the last line of its complaint, when it failed.
    """

    ok: bool
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def run_probe(name: str, *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 60) -> Probe:
    """Call `look(*arguments)` of `etude.doctor.probes.NAME` in a new process and read what it returns."""
    command = [sys.executable, "-P", "-c", _ANSWER, f"etude.doctor.probes.{name}", *arguments]
    # A probe asks for no configured backend but its own, and never for the network.
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", **(environment or {})}
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=settings,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Probe(ok=False, error=f"no answer in {timeout_s:.0f} s")
    if child.returncode != 0:
        return Probe(ok=False, error=_complaint(child.returncode, child.stderr))
    try:
        return Probe(ok=True, facts=json.loads(child.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        return Probe(ok=False, error="it printed no result")


def _complaint(code: int, stderr: str) -> str:
    if code < 0:
        return f"it crashed ({signal.Signals(-code).name})"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"exit code {code}"
