"""Other spellings of settings, all in one table: `ALIASES`.

A row renames a setting, translates its value, or explains why it is not one. Whatever is not in the table is
looked up in LeRobot's configuration and in `etude.config.options`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from etude.config.nested import Path, dotted
from etude.config.scalars import show
from etude.errors import UsageError

__all__ = ["ALIASES", "Alias", "Context", "spellings", "translate"]

# The sections of config files that only group settings: `training.batch_size` is `batch_size`.
SECTIONS = ("training", "output")


@dataclass(frozen=True)
class Context:
    """What a translation may depend on."""

    policy_type: str | None
    has_environment: bool


@dataclass(frozen=True)
class Translation:
    """Settings by dotted key, and what the user should know about them."""

    values: dict[str, Any]
    note: str | None = None


@dataclass(frozen=True)
class Alias:
    """A row of the table.

    Attributes:
        spelling: the name as it is documented elsewhere, with underscores; a short flag with its dash.
        means: its equal here, for the documentation.
        read: the value to settings by their canonical names.
    """

    spelling: str
    means: str
    read: Callable[[Any, Context], Translation]


def translate(path: Path, value: Any, context: Context) -> tuple[list[tuple[Path, Any]], list[str]]:
    """Settings by canonical path for a setting as it was written, and notes.

    Raises:
        UsageError: it is known, and not a setting of `etude train`; or its value has no equal.
    """
    if len(path) > 1 and path[0] in SECTIONS:
        return translate(path[1:], value, context)
    alias = _BY_SPELLING.get(dotted(path))
    if alias is None:
        return [(path, value)], []
    translation = alias.read(value, context)
    notes = [translation.note] if translation.note else []
    settings: list[tuple[Path, Any]] = []
    for key, translated in translation.values.items():
        target = tuple(key.split("."))
        if target == path:
            settings.append((path, translated))
            continue
        below, more = translate(target, translated, context)
        settings.extend(below)
        notes.extend(more)
    return settings, notes


def _rename(spelling: str, key: str, note: str | None = None) -> Alias:
    return Alias(spelling, f"`{key}`", lambda value, _: Translation({key: value}, note))


def _refuse(spelling: str, message: str, hint: str) -> Alias:
    def read(value: Any, context: Context) -> Translation:
        raise UsageError(f"{spelling}: {message}", hint=hint)

    return Alias(spelling, f"refused: {message}", read)


# LeRobot's names for policies, by how they are also written.
POLICY_SPELLINGS = {
    "pi0fast": "pi0_fast",
    "pi0-fast": "pi0_fast",
    "pi0.5": "pi05",
    "pi05_base": "pi05",
    "vq-bet": "vqbet",
    "vq_bet": "vqbet",
    "td-mpc": "tdmpc",
    "td_mpc": "tdmpc",
    "smol_vla": "smolvla",
    "smol-vla": "smolvla",
    "diffusion_policy": "diffusion",
}


def _section(name: str, key: str) -> Alias:
    # `--dataset=user/name` and `policy: act`; null switches the section off.
    def read(value: Any, _: Context) -> Translation:
        return Translation({f"{name}.{key}" if isinstance(value, str) else name: value})

    return Alias(name, f"`{name}.{key}`", read)


def _policy_type(value: Any, _: Context) -> Translation:
    if isinstance(value, str):
        value = POLICY_SPELLINGS.get(value.lower(), value)
    return Translation({"policy.type": value})


def _policy_to_fine_tune(value: Any, _: Context) -> Translation:
    return Translation({"policy.path": value, "checkpoint_mode": "from-trained"})


def _eval_freq(value: Any, context: Context) -> Translation:
    if context.has_environment:
        return Translation({"env_eval_freq": value})
    return Translation(
        {"env_eval_freq": value, "eval_steps": value},
        "eval_freq sets how often rollouts are made; without --env.type there are none, "
        "so it sets how often the validation loss is measured (eval_steps)",
    )


def _mixed_precision(value: Any, _: Context) -> Translation:
    words = {True: "bf16", False: "no", None: "policy"}
    precision = words.get(value, value) if value is None or isinstance(value, bool) else value
    note = None
    if value is True:
        note = "mixed_precision=true means precision=bf16 (fp16 where the GPU has no bfloat16)"
    return Translation({"precision": precision}, note)


def _lr_scheduler(value: Any, _: Context) -> Translation:
    if value is True:
        return Translation({"lr_schedule": "cosine"}, "lr_scheduler=true means lr_schedule=cosine")
    if value is False:
        return Translation({"lr_schedule": "constant", "lr_warmup_steps": 0})
    return Translation({"lr_schedule": value})


def _pin_memory(value: Any, _: Context) -> Translation:
    return Translation({}, f"pin_memory={show(value)} changes nothing: batches are pinned whenever the device is CUDA")


def _download_videos(value: Any, _: Context) -> Translation:
    if value is False:
        raise UsageError(
            "dataset.download_videos=false: the cameras' frames are in the videos, so they are needed",
            hint="to train on states alone, use a dataset without cameras",
        )
    return Translation({})


# Policies whose own configuration has a field `action_dim`.
_OWN_ACTION_DIM = {"fastwam", "lingbot_va", "vla_jepa"}


def _action_dim(value: Any, context: Context) -> Translation:
    if context.policy_type in _OWN_ACTION_DIM:
        return Translation({"policy.action_dim": value})
    return Translation({"action_dim": value})


def _num_action_chunks(value: Any, context: Context) -> Translation:
    if context.policy_type == "diffusion":
        return Translation(
            {"policy.n_action_steps": value},
            f"policy.num_action_chunks={show(value)} means policy.n_action_steps: "
            "how many predicted actions are executed",
        )
    raise UsageError(
        f"policy.num_action_chunks means n_action_steps of diffusion; {context.policy_type or 'this policy'} "
        "has no such setting",
        hint="see policy.n_action_steps and policy.chunk_size",
    )


def _visual_features(value: Any, context: Context) -> Translation:
    if context.policy_type not in ("diffusion", "vqbet"):
        raise UsageError(
            f"policy.visual_features: {context.policy_type or 'this policy'} has no such setting",
            hint="the width of ACT's image tokens is policy.dim_model",
        )
    if not isinstance(value, int) or isinstance(value, bool) or value < 2 or value % 2:
        raise UsageError(
            f"policy.visual_features must be an even number of at least 2, got {show(value)}",
            hint="it is twice policy.spatial_softmax_num_keypoints: x and y of each keypoint",
        )
    return Translation(
        {"policy.spatial_softmax_num_keypoints": value // 2},
        f"policy.visual_features={value} means policy.spatial_softmax_num_keypoints={value // 2}: "
        "an image becomes x and y of each keypoint",
    )


def _register(value: Any, _: Context) -> Translation:
    return Translation(
        {"register": value, "mlflow.tags.model_name": value},
        f"the MLflow run is tagged model_name={value}; no model is registered by `etude train`",
    )


def _plugins(value: Any, _: Context) -> Translation:
    return Translation({"plugins": value if isinstance(value, list) else [value]})


def _job_target(value: Any, _: Context) -> Translation:
    if value not in (None, "local"):
        raise UsageError(
            f"job.target={value}: etude trains on the machine where it is started",
            hint="leave it out, or use lerobot-train for jobs on the hub",
        )
    return Translation({"job.target": value})


_SUBMIT = "it belongs to submitting a job to a cluster, not to training itself"
_SUBMIT_HINT = "leave it out here: the same settings train on this machine"
_RL = "it belongs to reinforcement learning, not to learning from demonstrations"
_RL_HINT = "for rollouts during training see --env.type and --env.task"

ALIASES: tuple[Alias, ...] = (
    # The documents' names.
    _rename("-d", "dataset.repo_id"),
    _section("dataset", "repo_id"),
    _rename("dataset_repo_id", "dataset.repo_id"),
    _rename("dataset_root", "dataset.root"),
    _rename("-p", "policy.type"),
    _section("policy", "type"),
    _section("env", "type"),
    _rename("policy_type", "policy.type"),
    Alias("policy.type", "`policy.type`, also `pi0fast` for `pi0_fast` and the like", _policy_type),
    Alias("policy_repo_id", "`policy.path` with `checkpoint_mode=from-trained`", _policy_to_fine_tune),
    _rename("policy_path", "policy.path"),
    _rename("-j", "job_name"),
    _rename("training_steps", "steps"),
    _rename("learning_rate", "policy.optimizer_lr"),
    _rename("use_vae", "policy.use_vae"),
    _rename("chunk_size", "policy.chunk_size"),
    _rename("device", "policy.device"),
    _rename("config_path", "config"),
    _rename("wandb_enable", "wandb.enable"),
    _rename("wandb_project", "wandb.project"),
    _rename("wandb_entity", "wandb.entity"),
    _rename("wandb.tags", "wandb_tags"),
    _rename("mlflow_enable", "mlflow.enable"),
    _rename("mlflow_experiment", "mlflow.experiment"),
    _rename("mlflow.experiment_name", "mlflow.experiment"),
    _rename("dataset.exclude_episodes", "exclude_episodes"),
    Alias("eval_freq", "`env_eval_freq`; without an environment `eval_steps`", _eval_freq),
    Alias("mixed_precision", "`precision`: true is bf16, false is no", _mixed_precision),
    Alias("lr_scheduler", "`lr_schedule`: true is cosine, false is constant without warm-up", _lr_scheduler),
    Alias("pin_memory", "nothing: batches are pinned whenever the device is CUDA", _pin_memory),
    Alias(
        "dataset.download_videos",
        "nothing when true; false is refused: frames are needed",
        _download_videos,
    ),
    # Spellings of policy settings that LeRobot lacks.
    Alias("policy.num_action_chunks", "`policy.n_action_steps` of diffusion", _num_action_chunks),
    _rename("policy.num_epochs", "num_epochs"),
    _rename("epochs", "num_epochs"),
    _rename("policy.backbone", "policy.vision_backbone"),
    Alias(
        "policy.visual_features",
        "twice `policy.spatial_softmax_num_keypoints` (diffusion, vqbet)",
        _visual_features,
    ),
    Alias("policy.action_dim", "`action_dim`: checked against the dataset", _action_dim),
    _rename("policy.learning_rate", "policy.optimizer_lr"),
    # LeRobot's way to load other packages that register policies or environments.
    Alias("policy.discover_packages_path", "`plugins`", _plugins),
    Alias("env.discover_packages_path", "`plugins`", _plugins),
    # What belongs elsewhere.
    Alias("-r", "`--register`", _register),
    Alias("register", "`mlflow.tags.model_name`: the name for a later registration", _register),
    Alias("register_model", "`--register`", _register),
    *(
        _refuse(name, _SUBMIT, _SUBMIT_HINT)
        for name in ("image", "compute", "-w", "workflow", "dataset_bucket", "dataset_name")
    ),
    *(_refuse(name, _RL, _RL_HINT) for name in ("mode", "task", "num_envs", "headless", "max_iterations")),
    Alias("job.target", "refused: `etude train` trains on the machine where it is started", _job_target),
    # What was, and is called otherwise now.
    _refuse(
        "frames.cache",
        "frames.store has taken its place",
        "--frames.store=off keeps frames in memory where they fit, as cache=memory did; "
        "--frames.store=video decodes for each batch, as cache=off did; auto is the default",
    ),
)

_BY_SPELLING = {alias.spelling: alias for alias in ALIASES}


def spellings() -> Iterator[str]:
    """Every spelling in the table that stands for a setting, as it is typed after the dashes."""
    return (alias.spelling for alias in ALIASES if not alias.spelling.startswith("-"))
