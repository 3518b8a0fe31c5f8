"""Runs LeRobot's own trainer and writes down what each step took, and how much of it was waiting for its batch.

python benchmarks/lerobot_waits.py OUT.json FLAGS (those of lerobot-train)
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    """Train and write `{"waited_s": [...], "step_s": [...]}`."""
    target = Path(sys.argv.pop(1))
    from lerobot.scripts import lerobot_train

    original = lerobot_train.cycle
    waited: list[float] = []
    asked: list[float] = []

    def timed_cycle(loader: Any) -> Iterator[Any]:
        batches = original(loader)
        while True:
            asked.append(time.perf_counter())
            batch = next(batches)
            waited.append(time.perf_counter() - asked[-1])
            yield batch

    lerobot_train.cycle = timed_cycle
    lerobot_train.main()
    ends = [*asked[1:], time.perf_counter()]
    steps = [end - began for began, end in zip(asked, ends, strict=True)]
    target.write_text(json.dumps({"waited_s": waited, "step_s": steps}))


if __name__ == "__main__":
    main()
