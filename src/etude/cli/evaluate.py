"""`etude evaluate`: rollouts in simulation, or a replay against recordings."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

__all__ = ["main"]

_REPLAY_FLAGS = ("--dataset.root", "--dataset.repo_id")


def main(argv: Sequence[str]) -> int:
    """Demonstrations given and no environment: replay; else roll out."""
    given = {argument.split("=", 1)[0] for argument in argv}
    replays = given.intersection(_REPLAY_FLAGS) and "--env.type" not in given
    module = importlib.import_module(f"etude.cli.evaluate_{'replay' if replays else 'rollout'}")
    code: int = module.main(argv)
    return code
