"""The `policy` section: of a policy type, or of a trained policy with overrides."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etude.config.request import Resolved
from etude.errors import CheckpointError, UsageError
from etude.policies.location import find_policy

__all__ = ["expand_policy_path", "match_backbone_weights"]

# Of a trained policy: where it ran and where it was published. The new one has its own.
_NOT_INHERITED = ("device", "repo_id", "push_to_hub", "private", "pretrained_path", "pretrained_revision")


def expand_policy_path(resolved: Resolved) -> Resolved:
    """Replace `policy.path` by the configuration found there, under the given settings.

    Raises:
        CheckpointError: there is no policy.
        UsageError: `policy.type` names another type than the policy's.
    """
    section = resolved.values.get("policy")
    if not isinstance(section, Mapping) or not section.get("path"):
        return resolved
    given = {name: value for name, value in section.items() if name != "path"}
    path = str(section["path"])
    location = find_policy(path)
    found = location.read_json("config.json") or _download(path, given.get("pretrained_revision"))
    kind = found.get("type")
    if given.get("type") not in (None, kind):
        raise UsageError(
            f"policy.type={given['type']} ({resolved.source('policy.type')}), but {path} is of type {kind}",
            hint="leave policy.type out: it follows from the policy",
        )
    inherited = {name: value for name, value in found.items() if name not in _NOT_INHERITED}
    policy = _merge(inherited, given)
    values = dict(resolved.values)
    if values.get("checkpoint_mode") != "from-scratch":
        policy["pretrained_path"] = location.name
        values["checkpoint_mode"] = "from-trained"
    origin = {f"policy.{name}": f"file {path}/config.json" for name in inherited if name not in given}
    values["policy"] = policy
    return dataclasses.replace(resolved, values=values, sources={**origin, **resolved.sources})


def match_backbone_weights(policy: dict[str, Any], cls: Any) -> str | None:
    """Choose the pretrained weights of a vision backbone that differs from the default one.

    LeRobot keeps the default backbone's weights, which torchvision then refuses for another.

    Returns:
        A note, where something was chosen.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    weights = defaults.get("pretrained_backbone_weights")
    backbone = policy.get("vision_backbone")
    usual = defaults.get("vision_backbone")
    if "pretrained_backbone_weights" in policy or not isinstance(backbone, str) or backbone == usual:
        return None
    if not isinstance(weights, str) or not backbone.startswith("resnet") or not backbone[6:].isdigit():
        return None
    chosen = f"ResNet{backbone[6:]}_Weights.{weights.partition('.')[2]}"
    policy["pretrained_backbone_weights"] = chosen
    return f"policy.pretrained_backbone_weights={chosen}, to match policy.vision_backbone={backbone}"


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merge(merged[name], value) if both else value
    return merged


def _download(name: str, revision: Any) -> dict[str, Any]:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        file = hf_hub_download(repo_id=name, filename="config.json", revision=revision)
        config: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"no folder and no policy on the hub is named {name}: {reason}",
            hint="check the name; a private one needs a token (HF_TOKEN), and HF_HUB_OFFLINE must not be set",
        ) from error
    return config
