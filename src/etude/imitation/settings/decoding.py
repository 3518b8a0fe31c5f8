"""From resolved settings to LeRobot's configuration and ours."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from etude.config import nested
from etude.config.aliases import spellings
from etude.config.defaults import BY_STEPS
from etude.config.options import TrainOptions
from etude.config.request import Resolved
from etude.config.schema import Schema, field_types
from etude.errors import MissingExtraError, UsageError
from etude.extras import require
from etude.imitation.settings import rules
from etude.imitation.settings.model import TrainSettings
from etude.imitation.settings.policy import expand_policy_path, match_backbone_weights
from etude.imitation.settings.presets import apply_presets
from etude.policies.catalog import check_policy_name
from etude.policies.device import choose_device
from etude.policies.hub import explain_hub

__all__ = ["decode"]

logger = logging.getLogger(__name__)


def decode(resolved: Resolved) -> TrainSettings:
    """Check every setting and build the configuration of a training run.

    The result saves as a `train_config.json` that `lerobot-train` reads.

    Raises:
        UsageError: a name, a type or a value is not allowed, with its place and the nearest allowed one.
        CheckpointError: `policy.path` leads to no policy.
        DeviceError: `policy.device` is not on this machine.
        MissingExtraError: LeRobot, or something that the policy needs, is not installed.
    """
    require("lerobot", extra="imitation")
    from lerobot.configs.train import TrainPipelineConfig

    _load_plugins(resolved.values.get("plugins"))
    _check_policy(resolved)
    resolved = expand_policy_path(resolved)
    ours = {name: value for name, value in resolved.values.items() if name in field_types(TrainOptions)}
    theirs = {name: value for name, value in resolved.values.items() if name not in ours}
    schema = Schema(resolved, lambda: _suggestions(theirs))
    theirs = schema.check(copy.deepcopy(theirs), TrainPipelineConfig)
    ours = schema.check(ours, TrainOptions)
    rules.check_ranges({**theirs, **ours}, resolved)
    saved = rules.check_presets(theirs, resolved)
    notes = [note] if (note := match_backbone_weights(theirs["policy"], _policy_class(theirs))) else []
    if theirs["policy"].get("pretrained_path") is not None:
        ours.setdefault("checkpoint_mode", "from-trained")
    automatic = _decide_device(theirs) | _left_to_the_data(theirs, ours)
    options = _build(TrainOptions, ours, "settings")
    lerobot = _build(TrainPipelineConfig, theirs, theirs["policy"]["type"])
    rules.check_frame_size(options.frames)
    rules.check_together(lerobot, options.checkpoint_mode)
    options.precision = rules.choose_precision(  # type: ignore[assignment]
        options.precision, lerobot.policy.device, resolved.source("precision")
    )
    apply_presets(lerobot, options)
    notes.extend(_replaced(saved, lerobot))
    return TrainSettings(lerobot, options, frozenset(automatic), notes)


def _check_policy(resolved: Resolved) -> None:
    section = resolved.values.get("policy")
    if not isinstance(section, Mapping):
        raise UsageError("no policy is given", hint="for example --policy.type=act")
    import lerobot.policies  # noqa: F401  importing it registers the configurations
    from lerobot.configs.policies import PreTrainedConfig

    name = section.get("type")
    if name is not None and name not in PreTrainedConfig.get_known_choices():
        check_policy_name(str(name))  # registers plug-ins too


def _policy_class(theirs: Mapping[str, Any]) -> Any:
    from lerobot.configs.policies import PreTrainedConfig

    return PreTrainedConfig.get_choice_class(theirs["policy"]["type"])


def _load_plugins(names: Any) -> None:
    for name in names if isinstance(names, list) else []:
        try:
            importlib.import_module(str(name))
        except ImportError as error:
            raise UsageError(
                f"plugins: the package {name} cannot be imported: {error}",
                hint="install it in this environment, or leave it out",
            ) from error


def _suggestions(theirs: Mapping[str, Any]) -> Iterator[str]:
    """Names that an unknown one may have meant, besides those of its own level."""
    yield from field_types(TrainOptions)
    for name in ("early_stopping", "ema", "checkpoint", "mlflow", "frames"):
        yield from (f"{name}.{field}" for field in field_types(field_types(TrainOptions)[name]))
    yield from (spelling for spelling in spellings() if spelling not in ("policy", "dataset", "env"))
    if isinstance(theirs.get("policy"), Mapping) and theirs["policy"].get("type"):
        yield from (f"policy.{field}" for field in field_types(_policy_class(theirs)))
    from lerobot.configs.default import DatasetConfig, EvalConfig, WandBConfig

    for name, cls in (("dataset", DatasetConfig), ("eval", EvalConfig), ("wandb", WandBConfig)):
        yield from (f"{name}.{field}" for field in field_types(cls))


def _decide_device(theirs: dict[str, Any]) -> set[str]:
    """Set `policy.device`. LeRobot would take another device than the one asked for, without an error."""
    asked = theirs["policy"].get("device")
    theirs["policy"]["device"] = choose_device(asked or "auto")
    return {"policy.device"} if asked in (None, "auto") else set()


def _left_to_the_data(theirs: dict[str, Any], ours: dict[str, Any]) -> set[str]:
    automatic = set()
    if not nested.get(theirs, "eval.batch_size"):
        automatic.add("eval.batch_size")
    if ours.get("num_epochs") is not None:
        theirs.pop("steps", None)
        automatic.add("steps")
        automatic.update(key for key in BY_STEPS if theirs.get(key) is None)
    for key in BY_STEPS:
        if theirs.get(key, 0) is None:
            del theirs[key]
    return automatic


def _replaced(saved: dict[str, Any], lerobot: Any) -> list[str]:
    """Tell where a file's optimizer or schedule is not the one that counts."""
    import draccus
    from lerobot.optim import LRSchedulerConfig, OptimizerConfig

    notes = []
    for name, cls in (("optimizer", OptimizerConfig), ("scheduler", LRSchedulerConfig)):
        used = getattr(lerobot, name)
        if saved.get(name) is not None and (used is None or draccus.decode(cls, saved[name]) != used):
            notes.append(
                f"the file's {name} is not used: the policy's preset decides "
                "(use_policy_training_preset=false would use it)"
            )
    return notes


def _build(cls: Any, values: Mapping[str, Any], what: str) -> Any:
    import draccus
    from draccus.utils import DecodingError, ParsingError

    try:
        return draccus.decode(cls, values)
    except ImportError as error:
        raise MissingExtraError(f"{what} needs a package that is not installed: {error}") from error
    except (DecodingError, ParsingError, NotImplementedError, ValueError, TypeError, OSError) as error:
        causes = list(_causes(error))
        policy = _policy_class(values) if what != "settings" else cls
        if (hub := explain_hub(error, what, policy)) is not None:
            raise hub from error
        # The last cause is what the class itself said; draccus puts an empty sentence around it.
        raise UsageError(f"{what}: {_reason(causes[-1])}") from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _reason(error: BaseException) -> str:
    return " ".join(str(error).replace("`", "").split()) or type(error).__name__


def describe_policy(name: str) -> list[tuple[str, Any, Any]]:
    """The settings of a policy type: name, type and default, its own before those of every policy.

    Raises:
        UsageError: there is no such policy type.
    """
    require("lerobot", extra="imitation")
    from lerobot.configs.policies import PreTrainedConfig

    cls = PreTrainedConfig.get_choice_class(check_policy_name(name))
    common = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    annotations = field_types(cls)
    ours = {"push_to_hub": False, "device": "auto"}
    rows = []
    for field in sorted(dataclasses.fields(cls), key=lambda item: item.name in common):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        rows.append((field.name, annotations[field.name], ours.get(field.name, default)))
    return rows
