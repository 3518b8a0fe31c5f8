"""Flags that the speed benchmarks share, and how their tables look."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sets
from lerobot_settings import Setting


def parser(description: str | None, *, choose_sets: bool = True) -> argparse.ArgumentParser:
    """A parser with the shared flags."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    made.add_argument("--quick", action="store_true", help="check that it runs; the figures mean little")
    made.add_argument(
        "--lerobot",
        type=Setting.parse,
        metavar="BACKEND:WORKERS",
        help="LeRobot's setting, instead of finding its best",
    )
    made.add_argument("--json", type=Path, metavar="FILE")
    if choose_sets:
        made.add_argument("--set", action="append", choices=sets.NAMES, help="only this one (can be repeated)")
    return made


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """A table on standard output; what a row lacks is left empty."""
    texts = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[at]) for line in texts)) for at, column in enumerate(columns)]
    for line in [list(columns), ["-" * width for width in widths], *texts]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def write_json(path: Path | None, device: str, rows: Sequence[dict[str, Any]]) -> None:
    """The rows and the machine they were measured on."""
    if path is None:
        return
    payload = {"machine": machine(device), "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "rows": list(rows)}
    path.write_text(json.dumps(payload, indent=2, default=str) + "\n")


def machine(device: str) -> dict[str, Any]:
    """What the figures depend on."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": device,
    }
    if device == "cuda":
        import torch

        found["gpu"] = torch.cuda.get_device_name()
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
