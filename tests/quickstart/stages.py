"""A stand-in for the commands: it leaves what the real ones leave, without the work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from etude.quickstart import Places
from etude.runs.results import EpisodeResult, Interval, RolloutResult


class Commands:
    """Remembers the command lines; `stop_at` and `code` make one of them end early."""

    def __init__(self, places: Places, stop_at: str | None = None, code: int = 1, trained: int = 1000) -> None:
        self.places, self.stop_at, self.code, self.trained = places, stop_at, code, trained
        self.lines: list[str] = []

    def __call__(self, command: Sequence[str]) -> int:
        name = command[1] if command[0] == "data" else command[0]
        self.lines.append(shlex.join(command))
        if name == self.stop_at:
            self.leave_half(name)
            return self.code
        leave = {"record": self.record, "train": self.train, "evaluate": self.evaluate, "report": self.report}
        if name in leave:
            leave[name]()
        return 0

    def leave_half(self, name: str) -> None:
        if name == "train" and self.trained < 1000:
            self.train()
        elif name == "train":
            self.places.run.mkdir(parents=True)
            (self.places.run / "run.json").write_text("{}")
        elif name == "record":
            (self.places.dataset / "meta").mkdir(parents=True)

    def record(self) -> None:
        # The real command refuses a folder that exists.
        (self.places.dataset / "meta").mkdir(parents=True)
        (self.places.dataset / "meta" / "info.json").write_text("{}")

    def train(self) -> None:
        folder = self.places.run / "checkpoints"
        (folder / f"{self.trained:06d}").mkdir(parents=True)
        (folder / "last").unlink(missing_ok=True)
        (folder / "last").symlink_to(f"{self.trained:06d}")

    def evaluate(self) -> None:
        episodes = [EpisodeResult(seed, seed, seed != 3, 1.0, 70) for seed in range(50)]
        rate = Interval(0.98, 0.895, 0.996, "wilson")
        result = RolloutResult({}, {}, episodes, rate, rate, videos=["videos/0.mp4"])
        result.save(self.places.run / "evaluations" / "drawer")

    def report(self) -> None:
        self.places.report.write_text("<html></html>")


def journal_of(folder: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((folder / "quickstart.json").read_text())  # type: ignore[no-any-return]
