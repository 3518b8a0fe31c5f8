"""The demonstrations that the benchmarks read: two recorded sets, and one that is generated once and kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("ETUDE_TEST_DATA", HERE.parents[1] / "shared" / "data"))
CACHE = Path(os.environ.get("ETUDE_BENCHMARK_CACHE", Path.home() / ".cache" / "etude-benchmarks"))
"""Holds the generated set and the frame stores; everything in it can be deleted."""

RECORDED = {"pusht": "pusht-human", "cr5": "cr5-real-v30"}
NAMES = (*RECORDED, "three-cameras")


@dataclass(frozen=True)
class DemonstrationSet:
    """A LeRobot v3.0 dataset on this machine.

    Attributes:
        name: pusht (96x96) | cr5 (480x640, one camera, real) | three-cameras (480x640).
    """

    name: str
    root: Path

    @property
    def repo_id(self) -> str:
        return f"benchmark/{self.name}"

    @property
    def flags(self) -> list[str]:
        """The flags that name it to both trainers; no episode is held out."""
        return [f"--dataset.repo_id={self.repo_id}", f"--dataset.root={self.root}", "--dataset.eval_split=0"]

    @property
    def cameras(self) -> list[str]:
        features = json.loads((self.root / "meta" / "info.json").read_text())["features"]
        return [key for key, feature in features.items() if feature["dtype"] in ("video", "image")]

    @property
    def videos(self) -> list[Path]:
        return sorted((self.root / "videos").rglob("*.mp4"))


def find(name: str) -> DemonstrationSet:
    """The set of this name; generates the one with three cameras when it is not there yet (some minutes)."""
    if name in RECORDED:
        root = DATA / RECORDED[name]
        if not root.is_dir():
            sys.exit(f"no demonstrations at {root}; set ETUDE_TEST_DATA")
    else:
        root = CACHE / name
        if not root.is_dir():
            print(f"writing {root}, once", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, str(HERE / "three_cameras.py"), str(root)], check=True)
    return DemonstrationSet(name, root)
