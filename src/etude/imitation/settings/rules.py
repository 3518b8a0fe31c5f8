"""Settings that must fit each other, and numbers that must lie in a range."""

from __future__ import annotations

import multiprocessing
from typing import Any

from etude.config import nested
from etude.config.options import FramesOptions
from etude.config.request import Resolved
from etude.config.scalars import show
from etude.errors import DeviceError, UsageError

__all__ = ["check_frame_size", "check_presets", "check_ranges", "check_together", "choose_precision"]

# Lowest and highest allowed; null is allowed wherever the type allows it.
RANGES: dict[str, tuple[float, float | None]] = {
    "steps": (1, None),
    "num_epochs": (1e-9, None),
    "batch_size": (1, None),
    "gradient_accumulation_steps": (1, None),
    "num_workers": (0, None),
    "prefetch_factor": (1, None),
    "log_freq": (1, None),
    "eval_steps": (0, None),
    "env_eval_freq": (0, None),
    "max_eval_samples": (0, None),
    "tolerance_s": (0, None),
    "grad_clip_norm": (0, None),
    "lr_warmup_steps": (0, None),
    "action_dim": (1, None),
    "tracking_interval_s": (0, None),
    "system_metrics_interval_s": (0, None),
    "early_stopping.patience": (1, None),
    "early_stopping.min_delta": (0, None),
    "ema.decay": (0, 1),
    "checkpoint.keep_last": (1, None),
    "frames.quality": (1, 100),
    "frames.width": (1, 16384),
    "frames.height": (1, 16384),
    "frames.memory_gib": (0, None),
    "frames.disk_gib": (0, None),
    "dataset.eval_split": (0, 1),
    "eval.n_episodes": (1, None),
    "eval.batch_size": (0, None),
    "policy.optimizer_lr": (0, None),
}


def check_ranges(values: dict[str, Any], resolved: Resolved) -> None:
    """Refuse numbers out of range, NaN included.

    Raises:
        UsageError: there is one.
    """
    for key, (low, high) in RANGES.items():
        value = nested.get(values, key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if not (value >= low and (high is None or value <= high)):
            allowed = f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
            raise UsageError(f"{key} must be {allowed}, got {show(value)} ({resolved.source(key)})")


def check_presets(values: dict[str, Any], resolved: Resolved) -> dict[str, Any]:
    """Take the optimizer and schedule out of settings where the policy's preset decides them.

    Returns:
        What was taken out.

    Raises:
        UsageError: an optimizer was typed that would not count, or one is missing that must be given.
    """
    sections = ("optimizer", "scheduler")
    if values.get("use_policy_training_preset") is False:
        for name in sections:
            if not values.get(name):
                raise UsageError(
                    f"use_policy_training_preset=false needs {name}.type",
                    hint="--optimizer.type=adamw --optimizer.lr=1e-4 --scheduler.type=diffuser "
                    "--scheduler.name=cosine --scheduler.num_warmup_steps=500",
                )
        return {}
    for name in sections:
        typed = [
            key
            for key, source in resolved.sources.items()
            if key.split(".")[0] == name and source.startswith("command line")
        ]
        if typed:
            raise UsageError(
                f"{typed[0]} has no effect while the policy's own preset is used",
                hint="use --policy.optimizer_lr, --grad_clip_norm or --lr_schedule, "
                "or give all of it with --use_policy_training_preset=false",
            )
    return {name: values.pop(name) for name in sections if name in values}


def check_together(lerobot: Any, checkpoint_mode: str) -> None:
    """Refuse settings that contradict each other, as LeRobot's `validate()` does.

    Raises:
        UsageError: some do.
    """
    policy = lerobot.policy
    contexts = multiprocessing.get_all_start_methods()
    if lerobot.reward_model is not None:
        raise UsageError("etude trains policies, not reward models", hint="lerobot-train trains reward models")
    if checkpoint_mode == "from-trained" and policy.pretrained_path is None:
        raise UsageError(
            "checkpoint_mode=from-trained does not say which policy",
            hint="add --policy.path=outputs/train/NAME",
        )
    if lerobot.rename_map and policy.pretrained_path is None:
        raise UsageError(
            "rename_map renames cameras for a trained policy, and there is none",
            hint="add --policy.path, or leave rename_map out",
        )
    if lerobot.eval_steps > 0 and lerobot.dataset.eval_split == 0.0:
        raise UsageError(
            f"eval_steps={lerobot.eval_steps} needs held-out episodes", hint="set --dataset.eval_split=0.1"
        )
    if lerobot.sample_weighting is not None:
        raise UsageError("sample_weighting is not supported", hint="lerobot-train has it")
    if lerobot.save_checkpoint_to_hub:
        raise UsageError(
            "save_checkpoint_to_hub is not supported",
            hint="--policy.push_to_hub=true --policy.repo_id=USER/NAME uploads the finished policy",
        )
    if policy.push_to_hub and not policy.repo_id:
        raise UsageError("policy.push_to_hub=true does not say where to", hint="add --policy.repo_id=USER/NAME")
    if lerobot.dataloader_multiprocessing_context not in (None, *contexts):
        raise UsageError(
            f"dataloader_multiprocessing_context must be one of {', '.join(contexts)} or null, "
            f"got {lerobot.dataloader_multiprocessing_context!r}"
        )


def check_frame_size(frames: FramesOptions) -> None:
    """Refuse one side of a size without the other.

    Raises:
        UsageError: one is missing.
    """
    if (frames.width is None) != (frames.height is None):
        given, missing = ("width", "height") if frames.height is None else ("height", "width")
        raise UsageError(
            f"frames.{given} is given without frames.{missing}",
            hint="for example --frames.width=320 --frames.height=240",
        )


def choose_precision(precision: str, device: str, source: str) -> str:
    """`bf16` where the device has it; `fp16` where `mixed_precision=true` was asked and it has not.

    Raises:
        DeviceError: the device cannot compute in the precision asked for.
    """
    if precision == "fp16" and device == "cpu":
        raise DeviceError("precision=fp16 needs a GPU", hint="use --precision=bf16 or no")
    if precision != "bf16" or not device.startswith("cuda"):
        return precision
    import torch

    if torch.cuda.is_bf16_supported(including_emulation=False):
        return precision
    if "mixed_precision" in source:
        return "fp16"
    raise DeviceError("this GPU does not compute in bfloat16", hint="use --precision=fp16")
