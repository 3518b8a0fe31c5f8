"""Settings as a nested mapping that `etude train --config` reads back to equal settings."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from etude.config import nested
from etude.imitation.settings.model import TrainSettings

__all__ = ["encode"]

# Set by where and how the run was started, or always the same.
_LEFT_OUT = ("checkpoint_path", "resume", "reward_model")


def encode(settings: TrainSettings) -> dict[str, Any]:
    """Settings by their canonical names: LeRobot's as in its `train_config.json`, then ours.

    Left out is what follows from the rest: the optimizer and schedule of the policy's preset, the device
    where it was chosen automatically, the number of steps where `num_epochs` decides it.
    """
    import draccus
    from lerobot.transforms import ImageTransformsConfig

    values = _plain(draccus.encode(settings.lerobot))
    for key in _LEFT_OUT:
        values.pop(key, None)
    if settings.lerobot.use_policy_training_preset:
        values.pop("optimizer")
        values.pop("scheduler")
    transforms = values["dataset"]["image_transforms"]
    if transforms["tfs"] == _plain(draccus.encode(ImageTransformsConfig()))["tfs"]:
        del transforms["tfs"]
    for switch in _switches(settings.lerobot.policy):
        values["policy"][switch] = bool(values["policy"][switch])
    for key in settings.automatic:
        nested.drop(values, key)
    return {**values, **dataclasses.asdict(settings.options)}


def _switches(policy_config: Any) -> list[str]:
    """LeRobot declares a few switches as int; decoding makes 0 or 1 of them, which here reads false or true."""
    return [field.name for field in dataclasses.fields(policy_config) if isinstance(field.default, bool)]


def _plain(value: Any) -> Any:
    # draccus leaves tuples and enumerations of text as they are, which YAML has no word for.
    return json.loads(json.dumps(value, default=str))
