"""Runs LeRobot's own trainer and writes down the loss of every step.

    python benchmarks/lerobot_losses.py OUT.json --dataset.repo_id=... (the flags of lerobot-train)

`lerobot-train` prints three digits. Here its `update_policy` is wrapped, and nothing else is touched.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Train with the arguments after OUT and write `[loss of step 1, loss of step 2, …]` to OUT."""
    target = Path(sys.argv.pop(1))
    from lerobot.scripts import lerobot_train

    losses: list[float] = []
    original = lerobot_train.update_policy

    def update_policy(metrics, *args, **kwargs):  # type: ignore[no-untyped-def]
        result = original(metrics, *args, **kwargs)
        losses.append(metrics.loss.val)
        return result

    lerobot_train.update_policy = update_policy
    lerobot_train.main()
    target.write_text(json.dumps(losses))


if __name__ == "__main__":
    main()
