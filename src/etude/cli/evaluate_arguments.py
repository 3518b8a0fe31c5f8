"""The flags of `etude evaluate` for rollouts, in LeRobot's spelling and in short."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.cli.arguments import Parser
from etude.errors import UsageError

__all__ = ["RolloutArguments", "parse"]

EXAMPLES = (
    "etude evaluate --policy.path=outputs/train/NAME --env.type=metaworld --env.task=drawer-open-v3",
    "etude evaluate --policy.path=RUN --checkpoint=best --env.type=pusht --episodes=50 --videos=5",
    "etude evaluate --policy.path=RUN --compare OTHER_RUN --env.type=pusht",
    "etude evaluate --policy.path=RUN --dataset.root=DIR      (replay recorded episodes instead)",
)

# Flags beginning like this that are not known below change the policy's config.
_POLICY = "--policy."


@dataclass
class RolloutArguments:
    """What was asked for; see `--help`."""

    policy: str
    compare: str | None = None
    checkpoint: str = "last"
    device: str = "auto"
    overrides: dict[str, Any] = field(default_factory=dict)
    env_type: str | None = None
    env_task: str | None = None
    max_steps: int | None = None
    shadows: bool | None = None
    episodes: int = 50
    seed: int = 1000
    batch_size: int = 0
    processes: int = 0
    videos: int = 3
    rename_map: dict[str, str] = field(default_factory=dict)
    output_dir: Path | None = None
    json: bool = False


def parse(argv: Sequence[str]) -> RolloutArguments:
    """Read the command line.

    Raises:
        UsageError: an unknown flag or a wrong value.
    """
    parser = _parser()
    known = {option for action in parser._actions for option in action.option_strings}
    plain, overrides = _take_overrides(list(argv), known)
    return RolloutArguments(**vars(parser.parse_args(plain)), overrides=overrides)


def _parser() -> Parser:
    parser = Parser(
        prog="etude evaluate",
        description="Roll a policy out in simulation: success rate with a 95 % interval, rewards, videos.\n"
        "With --dataset.root or --dataset.repo_id instead of --env.type: replay recorded episodes\n"
        "(etude evaluate --dataset.root=DIR --help).",
        examples=EXAMPLES,
    )
    policy = parser.add_argument_group("policy")
    add = policy.add_argument
    add("--policy.path", "-p", dest="policy", required=True, metavar="PATH", help="run, checkpoint or hub id")
    add("--compare", metavar="PATH", help="another policy, on the same seeds")
    add("--checkpoint", default="last", metavar="last|best|STEP", help="which of a run (default: last)")
    add(
        "--policy.device",
        "--device",
        dest="device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda, mps",
    )
    add("--rename_map", type=_names, default={}, metavar="JSON", help="observation names to the policy's")
    policy.description = "any other --policy.KEY=VALUE changes the policy's config, as --policy.n_action_steps=8"
    add = parser.add_argument_group("environment").add_argument
    add(
        "--env.type",
        dest="env_type",
        metavar="NAME",
        help="pusht, aloha, metaworld (default: the demonstrations')",
    )
    add("--env.task", dest="env_task", metavar="NAME", help="task, for example drawer-open-v3")
    add(
        "--env.episode_length",
        "--env.max_steps",
        dest="max_steps",
        type=_positive,
        metavar="N",
        help="most steps",
    )
    add(
        "--env.shadows",
        dest="shadows",
        type=_yes_or_no,
        metavar="true|false",
        help="in MuJoCo's camera images",
    )
    add = parser.add_argument_group("evaluation").add_argument
    add(
        "--episodes",
        "--eval.n_episodes",
        dest="episodes",
        type=_positive,
        default=50,
        metavar="N",
        help="(50)",
    )
    add(
        "--seed",
        type=_natural,
        default=1000,
        metavar="N",
        help="of the first episode; the next has N + 1 (1000)",
    )
    add(
        "--batch_size",
        "--eval.batch_size",
        dest="batch_size",
        type=_natural,
        default=0,
        help="environments side by side, one inference for all (0: auto)",
    )
    add(
        "--processes",
        "--eval.processes",
        dest="processes",
        type=_natural,
        default=0,
        help="simulate them in so many (0: auto; 1: in this one)",
    )
    add("--videos", type=_natural, default=3, metavar="N", help="film the first N episodes (default: 3)")
    add("--output_dir", type=Path, metavar="DIR", help="result folder (default: evaluations/ of the run)")
    add("--json", action="store_true", help="print the result as JSON")
    return parser


def _take_overrides(argv: list[str], known: set[str]) -> tuple[list[str], dict[str, Any]]:
    """Separate `--policy.KEY=VALUE` (or `--policy.KEY VALUE`) from the flags that the parser knows."""
    plain: list[str] = []
    overrides: dict[str, Any] = {}
    words = iter(argv)
    for word in words:
        flag, has_value, value = word.partition("=")
        if not flag.startswith(_POLICY) or flag in known:
            plain.append(word)
            continue
        if not has_value:
            value = next(words, "")
        if not value or value.startswith("--"):
            raise UsageError(f"{flag} needs a value", hint=f"{flag}=VALUE")
        overrides[flag.removeprefix(_POLICY)] = _value(value)
    return plain, overrides


def _value(text: str) -> Any:
    try:
        return json.loads("null" if text == "None" else text)
    except ValueError:
        return {"True": True, "False": False}.get(text, text)


def _natural(text: str) -> int:
    if not text.isdigit():
        raise UsageError(f"{text!r} is not a whole number of 0 or more", hint="etude evaluate --help")
    return int(text)


def _positive(text: str) -> int:
    if _natural(text) == 0:
        raise UsageError("0 is too few: at least 1 is needed", hint="etude evaluate --help")
    return int(text)


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UsageError(f"{text!r} is neither true nor false", hint="etude evaluate --help")
    return text.lower() == "true"


def _names(text: str) -> dict[str, str]:
    example = 'for example --rename_map=\'{"observation.image": "observation.images.top"}\''
    try:
        names = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--rename_map is not JSON: {error}", hint=example) from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UsageError("--rename_map must map names to names", hint=example)
    return names
