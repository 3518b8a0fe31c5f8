"""The help of `etude train`: its main flags, or every flag of one policy."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from etude.config.schema import describe

__all__ = ["help_text"]

EXAMPLES = (
    "etude train --dataset.repo_id=lerobot/pusht --policy.type=diffusion",
    "etude train --dataset.root=DIR --policy.type=act --steps=20000 --batch_size=32",
    "etude train -d lerobot/aloha_sim_insertion_human -p act -j insertion",
    "etude train --config=train.yaml --batch_size=64",
    "etude train --policy-repo-id outputs/train/NAME --dataset.root=DIR --training-steps 5000",
    "etude train --resume outputs/train/NAME",
    "etude train --policy.type=act --help",
)

# Heading, then flag, default and meaning.
GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "data",
        (
            ("-d, --dataset.repo_id=USER/NAME", "", "demonstrations on the hub"),
            ("--dataset.root=DIR", "", "demonstrations in a folder"),
            ("--dataset.episodes=0:10", "all", "episodes to use: 0,1,2 or a range without its end"),
            ("--dataset.exclude_episodes=3,7", "none", "episodes to leave out"),
            ("--dataset.eval_split=F", "0.1", "share of episodes held out for the validation loss"),
            ("--dataset.image_transforms.enable", "false", "change colours and positions at random"),
            ("--data_check=fast|full|off", "fast", "how thoroughly the data is checked first"),
            ("--num_workers=N", "4", "processes that decode frames"),
            ("--frames.store=auto|raw|zstd|jpeg|...", "auto", "decode once; or video, off (docs/frames.md)"),
            ("--frames.width=N", "data's", "train on pictures of this size"),
            ("--frames.height=N", "data's", "the same"),
        ),
    ),
    (
        "policy",
        (
            ("-p, --policy.type=NAME", "act", "act, diffusion, vqbet, tdmpc, smolvla, pi0_fast, ..."),
            ("--policy-repo-id=PATH", "", "fine-tune: a run folder, a checkpoint or a hub name"),
            ("--policy.SETTING=VALUE", "", "the policy's own: etude train --policy.type=act --help"),
            ("--policy.device=auto|cpu|cuda|mps", "auto", "where to compute"),
        ),
    ),
    (
        "training",
        (
            ("--steps=N", "100000", "optimizer updates"),
            ("--num_epochs=N", "", "passes over the data, instead of steps"),
            ("--batch_size=N", "8", "samples in a batch, per process"),
            ("--gradient_accumulation_steps=N", "1", "batches summed up for one update"),
            ("--policy.optimizer_lr=F", "policy's", "learning rate"),
            ("--lr_schedule=constant|linear|cosine", "policy's", "with --lr_warmup_steps (5 % of the steps)"),
            ("--grad_clip_norm=F", "policy's", "largest gradient norm; 0 turns clipping off"),
            ("--precision=policy|auto|bf16|...", "policy", "number format; auto measures bf16"),
            ("--compile=auto|on|off", "auto", "torch.compile (docs/speed.md)"),
            ("--profile", "false", "say what bounds the run"),
            ("--ema.enable", "false", "keep and validate an average of the weights (--ema.decay)"),
            ("--early_stopping.patience=N", "off", "stop after N validations without improvement"),
            ("--seed=N", "1000", "of initialisation, order and noise"),
            ("--deterministic", "false", "bit-equal runs on one machine, at some speed"),
        ),
    ),
    (
        "output",
        (
            ("--output_dir=DIR", "derived", "outputs/train/JOB_NAME, with -2, -3 ... if it exists"),
            ("-j, --job_name=NAME", "derived", "lerobot-POLICY-training"),
            ("--save_freq=N", "5000", "updates between checkpoints"),
            ("--checkpoint.keep_last=N", "all", "checkpoints to keep, besides last and best"),
            ("--log_freq=N", "200", "updates between points; at least 50 points a run"),
            ("--eval_steps=N", "derived", "updates between validations"),
            ("--env.type=pusht|aloha|metaworld", "none", "make rollouts, every --env_eval_freq updates"),
            ("--mlflow.enable=BOOL", "true", "to mlflow.db, or MLFLOW_TRACKING_URI"),
            ("--wandb.enable=BOOL", "false", "with --wandb.project, --wandb.entity, --wandb.tags"),
        ),
    ),
    (
        "the command itself",
        (
            ("--config=FILE", "", "JSON or YAML; flags win over it"),
            ("--resume=RUN", "", "continue a run; needs nothing else"),
            ("--print-config", "", "show all settings and stop (--json for a script)"),
            ("--log_level=LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR"),
        ),
    ),
)


def help_text(policy_type: str | None = None) -> str:
    """What `etude train --help` prints; with a policy type, the settings of that policy.

    Raises:
        UsageError: there is no such policy type.
        MissingExtraError: a policy type was given, and LeRobot is not installed.
    """
    return _policy_help(policy_type) if policy_type else _overview()


def _overview() -> str:
    lines = ["usage: etude train [--SETTING=VALUE ...]", "", "Train a policy from demonstrations.", ""]
    for heading, rows in GROUPS:
        lines.append(f"{heading}:")
        lines.extend(f"  {flag:<37} {default:<9} {meaning}".rstrip() for flag, default, meaning in rows)
        lines.append("")
    lines.append("Every other setting of LeRobot's TrainPipelineConfig is a flag too; docs/train.md lists aliases.")
    lines.extend(["", "examples:", *(f"  {example}" for example in EXAMPLES)])
    return "\n".join(lines)


def _policy_help(name: str) -> str:
    from etude.imitation.settings.decoding import describe_policy

    rows = [
        (f"--policy.{field}", _shown(default), describe(annotation))
        for field, annotation, default in describe_policy(name)
    ]
    flags, kinds = (max(len(row[column]) for row in rows) for column in (0, 2))
    first, value, _ = rows[0]
    return "\n".join(
        [
            f"usage: etude train --policy.type={name} [--policy.SETTING=VALUE ...]",
            "",
            f"settings of {name}, with their types and defaults:",
            *(f"  {flag:<{flags}}  {kind:<{min(kinds, 32)}}  {default}" for flag, default, kind in rows),
            "",
            "examples:",
            f"  etude train --dataset.repo_id=lerobot/pusht --policy.type={name} {first}={value}",
        ]
    )


def _shown(default: Any) -> str:
    return "required" if default is dataclasses.MISSING else json.dumps(default, default=str)
