"""Which seed an episode has. Demonstrations and evaluations never share one."""

from __future__ import annotations

from etude.errors import UsageError

__all__ = ["demonstration_seed", "evaluation_seeds"]

DEMONSTRATIONS_FROM = 2**31
"""Seeds from here on are for recording, those below for evaluation."""


def evaluation_seeds(seed: int, episodes: int) -> list[int]:
    """The seeds of an evaluation: `seed`, `seed + 1`, … as `lerobot-eval` numbers them.

    Raises:
        UsageError: negative, or so large that they would meet the demonstrations' seeds.
    """
    if seed < 0 or seed + episodes > DEMONSTRATIONS_FROM:
        raise UsageError(f"--seed {seed} is out of range", hint=f"allowed: 0 to {DEMONSTRATIONS_FROM - episodes}")
    return list(range(seed, seed + episodes))


def demonstration_seed(seed: int, attempt: int) -> int:
    """The seed of a demonstration: spread by hashing, so that two recordings share (almost) no episode."""
    import numpy as np

    if seed < 0:
        raise UsageError(f"--seed {seed} is out of range", hint="allowed: 0 and above")
    word = int(np.random.SeedSequence([seed, attempt]).generate_state(1, np.uint32)[0])
    return DEMONSTRATIONS_FROM + word % DEMONSTRATIONS_FROM
