"""Rollouts during training: joins the trainer and the evaluation, which do not know each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.imitation.trainer import Rollout
    from etude.runs.folder import RunFolder

__all__ = ["make_rollout"]


def make_rollout(config: Any, run: RunFolder) -> Rollout:
    raise NotImplementedError
