"""Optimizer and learning-rate schedule: the policy's preset, with what the user overrides."""

from __future__ import annotations

from typing import Any

from etude.config.options import TrainOptions

__all__ = ["apply_presets"]

WARMUP_SHARE = 0.05
# diffusers' names; its plain `constant` has no warm-up.
_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


def apply_presets(lerobot: Any, options: TrainOptions) -> None:
    """Set `optimizer` and `scheduler` of a `TrainPipelineConfig`, as LeRobot's `validate()` would, then ours.

    Args:
        lerobot: changed in place; its `policy` and `steps` are set.
        options: `grad_clip_norm`, `lr_schedule` and `lr_warmup_steps` count.
    """
    from lerobot.optim.schedulers import DiffuserSchedulerConfig

    if lerobot.use_policy_training_preset:
        lerobot.optimizer = lerobot.policy.get_optimizer_preset()
        lerobot.scheduler = lerobot.policy.get_scheduler_preset()
    if options.grad_clip_norm is not None:
        lerobot.optimizer.grad_clip_norm = options.grad_clip_norm
    if options.lr_schedule is not None:
        warmup = options.lr_warmup_steps
        lerobot.scheduler = DiffuserSchedulerConfig(
            name=_SCHEDULES[options.lr_schedule],
            num_warmup_steps=int(lerobot.steps * WARMUP_SHARE) if warmup is None else warmup,
        )
