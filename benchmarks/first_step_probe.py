"""Runs a trainer until its first step is done, and says when that was.

    python benchmarks/first_step_probe.py lerobot|etude FLAGS (those of the trainer)

Prints one line of JSON: the time of day when the first step was done, and the seconds that imports took. The process
then ends at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from import_clock import ImportClock


def main() -> None:
    """Start the clock and the trainer."""
    trainer = sys.argv.pop(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    clock = ImportClock()
    clock.start()

    def first_step_is_done() -> NoReturn:
        _wait_for_device()
        print(json.dumps({"done": time.time(), "imports_s": clock.seconds}), file=answers)
        answers.flush()
        os._exit(0)

    {"lerobot": train_with_lerobot, "etude": train_with_etude}[trainer](first_step_is_done)


def train_with_lerobot(first_step_is_done: Any) -> None:
    """`lerobot-train` with the arguments of this process."""
    # Spawned workers run the main script's imports again; they must be those of the real command.
    sys.modules["__main__"].__file__ = str(Path(sys.executable).with_name("lerobot-train"))
    from lerobot.scripts import lerobot_train

    original = lerobot_train.update_policy

    def update_policy(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        first_step_is_done()

    lerobot_train.update_policy = update_policy
    lerobot_train.main()


def train_with_etude(first_step_is_done: Any) -> None:
    """`etude train` with the arguments of this process."""
    from etude.cli import main as etude
    from etude.cli.progress import TrainingDisplay

    TrainingDisplay.step = lambda self, step: first_step_is_done()  # type: ignore[method-assign]
    sys.exit(etude(["train", *sys.argv[1:]]))


def _wait_for_device() -> None:
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
