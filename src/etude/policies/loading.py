"""A checkpoint to something that acts: the policy, its processors and what it was trained with."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.errors import CheckpointError, UsageError, nearest
from etude.extras import require
from etude.policies.catalog import check_policy_name
from etude.policies.device import choose_device
from etude.policies.location import CONFIG, PREPROCESSOR, TRAIN_CONFIG, WEIGHTS, PolicyLocation, find_policy

__all__ = ["LoadedPolicy", "load_policy"]

logger = logging.getLogger(__name__)


@dataclass
class LoadedPolicy:
    """A policy that is ready to act.

    Attributes:
        policy: LeRobot's `PreTrainedPolicy`, in evaluation mode, on its device.
        preprocessor: observation batch to normalised batch on the device.
        postprocessor: `(batch, action)` from the policy to an action in the robot's own unit, on the CPU.
        config: LeRobot's `PreTrainedConfig`.
        path: the folder or hub id it came from; None for a policy that was never saved.
        step: finished optimizer updates, where known.
        train_config: `train_config.json`, where there is one.
    """

    policy: Any
    preprocessor: Callable[[dict[str, Any]], dict[str, Any]]
    postprocessor: Callable[[Any], Any]
    config: Any
    path: str | None = None
    step: int | None = None
    train_config: dict[str, Any] | None = None

    @property
    def device(self) -> str:
        return str(self.config.device)

    def describe(self) -> dict[str, Any]:
        """What a result file says about the policy."""
        return {"path": self.path, "type": self.config.type, "checkpoint_step": self.step}


def load_policy(
    path: str | Path | PolicyLocation,
    device: str = "auto",
    checkpoint: str = "last",
    overrides: Mapping[str, Any] | None = None,
    rename_map: Mapping[str, str] | None = None,
) -> LoadedPolicy:
    """Load a policy saved in LeRobot's layout, by étude, LeRobot or anyone.

    Args:
        path: run folder, checkpoint folder, `pretrained_model` folder, or hub id; or what `find_policy` made of it.
        device: see `choose_device`.
        checkpoint: for a run folder: `last`, `best` or a step number.
        overrides: fields of the policy's config to change, for example `{"n_action_steps": 10}`.
        rename_map: observation names of the environment or dataset to those of the policy.

    Raises:
        CheckpointError: absent, corrupt, or the weights do not fit the config.
        DeviceError: this machine has no such device.
        UsageError: an override that the policy does not have.
    """
    require("lerobot", extra="imitation")
    chosen = choose_device(device)
    location = path if isinstance(path, PolicyLocation) else find_policy(path, checkpoint)
    config = _read_config(location, chosen, overrides or {})
    policy = _build(location, config)
    preprocessor, postprocessor = _processors(location, config, chosen, rename_map or {})
    return LoadedPolicy(
        policy=policy,
        preprocessor=preprocessor,
        postprocessor=postprocessor,
        config=config,
        path=location.name,
        step=location.step,
        train_config=location.read_json(TRAIN_CONFIG),
    )


def _read_config(location: PolicyLocation, device: str, overrides: Mapping[str, Any]) -> Any:
    from lerobot.configs.policies import PreTrainedConfig

    raw = location.read_json(CONFIG)
    if raw is not None:
        if "type" not in raw:
            raise CheckpointError(f"{location.name}/{CONFIG} names no policy type")
        check_policy_name(raw["type"])
        _check_overrides(raw["type"], overrides)
    changes = [f"--device={device}", *(f"--{key}={_spell(value)}" for key, value in overrides.items())]
    config = _from_lerobot(location, lambda: PreTrainedConfig.from_pretrained(location.name, cli_overrides=changes))
    config.pretrained_path = Path(location.name) if location.folder else location.name
    return config


def _check_overrides(policy_type: str, overrides: Mapping[str, Any]) -> None:
    from lerobot.configs.policies import PreTrainedConfig

    fields = [item.name for item in dataclasses.fields(PreTrainedConfig.get_choice_class(policy_type))]
    for key in overrides:
        name = key.split(".")[0]
        if name not in fields:
            close = nearest(name, fields)
            hint = f"did you mean {' or '.join(f'--policy.{item}' for item in close)}?" if close else None
            raise UsageError(f"policy type {policy_type!r} has no setting {name!r}", hint=hint)


def _spell(value: Any) -> str:
    """A value as LeRobot's command line spells it."""
    return value if isinstance(value, str) else json.dumps(value)


def _build(location: PolicyLocation, config: Any) -> Any:
    from lerobot.policies.factory import get_policy_class

    policy_class = get_policy_class(config.type)
    if config.use_peft:
        return _build_peft(location, config, policy_class)
    try:
        policy = _from_lerobot(
            location, lambda: policy_class.from_pretrained(location.name, config=config, strict=True)
        )
    except CheckpointError as error:
        if "Unexpected key" not in error.message or "Missing key" in error.message:
            raise
        logger.warning("%s: the weights hold more than the policy reads; the rest is left out", location.name)
        policy = _from_lerobot(location, lambda: policy_class.from_pretrained(location.name, config=config))
    policy.to(config.device)
    policy.eval()
    return policy


def _build_peft(location: PolicyLocation, config: Any, policy_class: Any) -> Any:
    """A base policy with a low-rank adapter on it."""
    peft = require("peft", extra="imitation")

    def build() -> Any:
        adapter = peft.PeftConfig.from_pretrained(location.name)
        base = policy_class.from_pretrained(adapter.base_model_name_or_path, config=config)
        return peft.PeftModel.from_pretrained(base, location.name, config=adapter).to(config.device).eval()

    return _from_lerobot(location, build)


def _processors(location: PolicyLocation, config: Any, device: str, rename_map: Mapping[str, str]) -> tuple[Any, Any]:
    from lerobot.policies.factory import make_pre_post_processors

    overrides: dict[str, Any] = {"device_processor": {"device": device}}
    saved = location.read_json(PREPROCESSOR)
    if saved is not None:
        steps = [step.get("registry_name") for step in saved.get("steps", [])]
        overrides = {name: value for name, value in overrides.items() if name in steps}
    if rename_map:
        overrides["rename_observations_processor"] = {"rename_map": dict(rename_map)}
    both: tuple[Any, Any] = _from_lerobot(
        location,
        lambda: make_pre_post_processors(config, pretrained_path=location.name, preprocessor_overrides=overrides),
    )
    return both


def _from_lerobot[T](location: PolicyLocation, load: Callable[[], T]) -> T:
    """Run one of LeRobot's loaders; what it raises becomes a CheckpointError that names the place."""
    from draccus.utils import DecodingError, ParsingError
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
    from safetensors import SafetensorError

    try:
        # LeRobot prints while it loads; standard output belongs to the caller's results.
        with contextlib.redirect_stdout(sys.stderr if logger.isEnabledFor(logging.DEBUG) else io.StringIO()):
            return load()
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) as error:
        raise CheckpointError(
            f"there is no folder {location.name}, and it could not be read from the Hugging Face hub: "
            f"{_first_line(error)}",
            hint="check the path; for a hub id check the network, HF_TOKEN and HF_HUB_OFFLINE",
        ) from error
    except SafetensorError as error:
        raise CheckpointError(f"{location.name}/{WEIGHTS} is corrupt: {_first_line(error)}") from error
    except ImportError as error:
        raise CheckpointError(
            f"the policy in {location.name} needs a library that is not installed: {_first_line(error)}",
            hint="make setup, or pip install the library it names",
        ) from error
    except RuntimeError as error:
        raise CheckpointError(f"the weights in {location.name} do not fit its config: {_brief(error)}") from error
    except (DecodingError, ParsingError, ValueError, TypeError, KeyError, OSError) as error:
        raise CheckpointError(f"{location.name} cannot be loaded: {_brief(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _brief(error: BaseException, lines: int = 4) -> str:
    if type(error).__module__.startswith("draccus") and error.__cause__ is not None:
        return _brief(error.__cause__)  # the parser says only that a class could not be made
    text = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(text[:lines]) + (" …" if len(text) > lines else "")
