"""The policy to train and its processors, made as LeRobot's trainer makes them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from etude.errors import CheckpointError, DatasetError, UsageError
from etude.imitation.quiet import quiet
from etude.imitation.refusals import MAKING_FAILS_WITH, explain

__all__ = ["make_policy", "make_processors"]


def make_policy(config: Any, meta: Any, weights: Path | None) -> Any:
    """A LeRobot policy for this data, fresh or with the weights of a checkpoint.

    Args:
        config: LeRobot's `TrainPipelineConfig`.
        meta: LeRobot's dataset metadata, with the statistics to normalise with.
        weights: a `pretrained_model` folder to resume from; None follows `config.policy.pretrained_path`.

    Raises:
        CheckpointError: the weights or their shapes do not fit the data or the config.
        UsageError: the policy refuses the data.
    """
    from lerobot.policies import make_policy as lerobot_make_policy

    original = config.policy.pretrained_path
    if weights is not None:
        config.policy.pretrained_path = weights
    pretrained = config.policy.pretrained_path
    _check_optimizers(config)
    _check_rewards(config.policy, meta)
    if pretrained is not None:
        _check_shapes(config.policy, meta, config.rename_map)
    elif not config.policy.input_features:
        config.policy.input_features = _inputs(config.policy, meta)
    try:
        with quiet():
            policy = lerobot_make_policy(cfg=config.policy, ds_meta=meta, rename_map=config.rename_map)
    except MAKING_FAILS_WITH as error:
        raise explain(error, config.policy, pretrained) from error
    finally:
        config.policy.pretrained_path = original
    if config.peft is not None and weights is None:
        policy = _with_adapter(policy, config)
    return policy


def make_processors(config: Any, policy: Any, meta: Any, device: str, weights: Path | None) -> tuple[Any, Any]:
    """Pre- and postprocessor: LeRobot's, saved ones where there is a checkpoint.

    On resume the checkpoint's own statistics stay; fine-tuning normalises with those of the new data.

    Raises:
        CheckpointError: a tokenizer or a saved processor is absent or does not fit.
        UsageError: the processors refuse the data.
    """
    from lerobot.policies import make_pre_post_processors

    pretrained = weights or config.policy.pretrained_path
    arguments: dict[str, Any] = {}
    if weights is None:
        arguments["dataset_stats"] = meta.stats
    if pretrained is not None:
        arguments |= _overrides(config, policy, meta, device, keep_statistics=weights is not None)
    try:
        with quiet():
            both: tuple[Any, Any] = make_pre_post_processors(
                policy_cfg=config.policy,
                pretrained_path=str(pretrained) if pretrained is not None else None,
                pretrained_revision=getattr(config.policy, "pretrained_revision", None),
                **arguments,
            )
    except MAKING_FAILS_WITH as error:
        raise explain(error, config.policy, pretrained) from error
    return both


def _overrides(config: Any, policy: Any, meta: Any, device: str, *, keep_statistics: bool) -> dict[str, Any]:
    every = {**policy.config.input_features, **policy.config.output_features}
    normalizer: dict[str, Any] = {"features": every, "norm_map": policy.config.normalization_mapping}
    unnormalizer: dict[str, Any] = {
        "features": policy.config.output_features,
        "norm_map": policy.config.normalization_mapping,
    }
    if not keep_statistics:
        normalizer["stats"] = unnormalizer["stats"] = meta.stats
    before: dict[str, Any] = {
        "device_processor": {"device": device},
        "normalizer_processor": normalizer,
        "rename_observations_processor": {"rename_map": config.rename_map},
    }
    after: dict[str, Any] = {"unnormalizer_processor": unnormalizer}
    if getattr(config.policy, "use_relative_actions", False):
        before["relative_actions_processor"] = {
            "enabled": True,
            "exclude_joints": getattr(config.policy, "relative_exclude_joints", []),
            "action_names": getattr(config.policy, "action_feature_names", None),
        }
        after["absolute_actions_processor"] = {"enabled": True}
    return {"preprocessor_overrides": before, "postprocessor_overrides": after}


# These read the robot's state, the environment's and the cameras, and nothing else. Left in their config, another
# vector of the dataset would be asked of every environment and robot later on; VQ-BeT even counts it as a token.
READ_STANDARD_INPUTS = frozenset({"act", "diffusion", "pi0", "pi05", "pi0_fast", "smolvla", "tdmpc", "vqbet"})


def _inputs(policy_config: Any, meta: Any) -> dict[str, Any]:
    """What of the dataset the policy takes in; empty leaves the choice to LeRobot, which takes everything."""
    from lerobot.configs import FeatureType
    from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
    from lerobot.utils.feature_utils import dataset_to_policy_features

    if policy_config.type not in READ_STANDARD_INPUTS:
        return {}
    features = dataset_to_policy_features(meta.features)
    return {
        key: feature
        for key, feature in features.items()
        if feature.type is FeatureType.VISUAL or key in (OBS_STATE, OBS_ENV_STATE)
    }


def _check_optimizers(config: Any) -> None:
    from lerobot.optim import MultiAdamConfig

    if isinstance(config.optimizer, MultiAdamConfig):
        raise UsageError(
            f"policy {config.policy.type} needs several optimizers: it learns by trial, not from demonstrations",
            hint="choose another, for example --policy.type=act",
        )


def _check_rewards(policy_config: Any, meta: Any) -> None:
    if policy_config.reward_delta_indices is not None and "next.reward" not in meta.features:
        raise DatasetError(
            f"policy {policy_config.type} learns from rewards, and the dataset has no feature next.reward",
            hint="record demonstrations with rewards (`etude data record` does), or choose --policy.type=act",
        )


def _check_shapes(policy_config: Any, meta: Any, rename_map: dict[str, str]) -> None:
    """The checkpoint's state and action must have the data's sizes; LeRobot would find out much later."""
    renamed = {rename_map.get(key, key): feature for key, feature in meta.features.items()}
    known = {**(policy_config.input_features or {}), **(policy_config.output_features or {})}
    for key, feature in known.items():
        if key not in renamed:
            raise CheckpointError(
                f"the policy {policy_config.pretrained_path} needs {key!r}, which the dataset does not have "
                f"(it has {', '.join(key for key in renamed if '.' in key or key == 'action')})",
                hint='--rename_map=\'{"DATASET_NAME": "POLICY_NAME"}\' renames the dataset\'s features',
            )
        expected, given = tuple(feature.shape), tuple(renamed[key]["shape"])
        is_picture = renamed[key]["dtype"] in ("image", "video")
        if not is_picture and expected != given and not _pads_vectors(policy_config):
            raise CheckpointError(
                f"{key} has shape {given} in the dataset, but the policy {policy_config.pretrained_path} "
                f"was made for {expected}",
                hint="fine-tune on data of the same robot, or train from scratch with --policy.type",
            )


def _pads_vectors(policy_config: Any) -> bool:
    # The vision-language-action policies pad state and action to a fixed size, so that any robot fits.
    return hasattr(policy_config, "max_action_dim")


def _with_adapter(policy: Any, config: Any) -> Any:
    from etude.extras import require

    require("peft", extra="imitation")
    return policy.wrap_with_peft(peft_cli_overrides=dataclasses.asdict(config.peft))
