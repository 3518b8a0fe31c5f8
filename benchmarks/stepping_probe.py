"""Runs a trainer and says when each of its steps was done.

    python benchmarks/stepping_probe.py lerobot|etude FLAGS (those of the trainer)

Prints a line of JSON a step, {"done": seconds}, and after the first 20 and 50 steps their losses, {"losses": [...]}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

COMPARED = (20, 50)


class Journal:
    """Writes to what was standard output when the process began; the trainer's own output goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._losses: list[Any] = []

    def about(self, what: dict[str, Any]) -> None:
        """Something to know of the trainer."""
        self._out.write(json.dumps({"about": what}) + "\n")

    def step(self, loss: Any) -> None:
        """A step was done; its loss may lie on the device, which is not waited for at every step."""
        self._out.write(json.dumps({"done": time.perf_counter()}) + "\n")
        if len(self._losses) < max(COMPARED):
            self._losses.append(loss)
            if len(self._losses) in COMPARED:
                self._out.write(json.dumps({"losses": [float(value) for value in self._losses]}) + "\n")


def train_with_lerobot(journal: Journal) -> None:
    """`lerobot-train` with the arguments of this process."""
    from lerobot.scripts import lerobot_train

    original = lerobot_train.update_policy

    def update_policy(metrics: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(metrics, *args, **kwargs)
        journal.step(metrics.loss.val)
        return result

    lerobot_train.update_policy = update_policy
    lerobot_train.main()


def train_with_etude(journal: Journal) -> None:
    """`etude train` with the arguments of this process."""
    from etude.cli import main
    from etude.imitation import trainer as trainer_module
    from etude.imitation.learner import Learner

    original, tune = Learner.update, trainer_module.tune

    def tuned(*args: Any, **kwargs: Any) -> Any:
        verdict = tune(*args, **kwargs)
        journal.about({**verdict.acceleration.to_dict(), "notes": verdict.notes})
        return verdict

    trainer_module.tune = tuned

    def update(self: Learner, parts: Any, *, follow: bool = True) -> Any:
        result = original(self, parts, follow=follow)
        if follow:  # not a rehearsal
            journal.step(result.loss.clone())
        return result

    Learner.update = update  # type: ignore[method-assign]
    main(["train", *sys.argv[1:]])


if __name__ == "__main__":
    trainer = sys.argv.pop(1)
    {"lerobot": train_with_lerobot, "etude": train_with_etude}[trainer](Journal())
