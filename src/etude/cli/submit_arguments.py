"""The options of `etude submit`: before the command, or, as the documents have them, among its flags."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from etude.cli.arguments import Parser
from etude.cli.workspace_flags import add_workspace_flags
from etude.errors import UsageError, nearest
from etude.platforms.opening import PLATFORMS

__all__ = ["SubmitOptions", "read_submit"]

EXAMPLES = (
    "etude submit local train --dataset.root=DIR --policy.type=act",
    "etude submit azureml --compute gpu-cluster train --dataset.root=azureml:pusht@latest --policy.type=act",
    "etude submit azureml --dry-run train --dataset-repo-id lerobot/aloha_sim_insertion_human",
)
_SIZE = re.compile(r"^\d+[bkmgt]?$")
_DURATION = re.compile(r"^(\d+)\s*(s|m|min|h|d)?$")
_SECONDS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
AMONG_COMMAND_FLAGS = ("image", "compute", "instance-type", "environment", "register-model", "stream", "set", "dry-run")
"""Written after the command they are ours as well: the commands themselves refuse them."""


@dataclass
class SubmitOptions:
    """What was asked for.

    Attributes:
        platform: local | azureml.
        command: of `etude`, with its own flags.
        flags: the options that were given, by their names.
    """

    platform: str
    command: list[str]
    flags: argparse.Namespace
    overrides: list[str] = field(default_factory=list)


def read_submit(argv: Sequence[str], commands: Sequence[str]) -> SubmitOptions:
    """Split the options from the command.

    Args:
        commands: names of the commands that can be submitted.

    Raises:
        UsageError: no platform, no command, an unknown option, or a value that is not allowed.
    """
    platform, *rest = argv
    if platform not in PLATFORMS:
        close = nearest(platform, PLATFORMS)
        hint = f"did you mean: etude submit {close[0]}" if close else f"platforms: {', '.join(PLATFORMS)}"
        raise UsageError(f"there is no platform {platform!r}", hint=hint)
    start = next((place for place, word in enumerate(rest) if word in commands), None)
    if start is None:
        options, command = rest, []
        stray = next((word for word in rest if not word.startswith("-")), None)
        close = nearest(stray, commands) if stray else []
        if not {"-h", "--help"} & set(rest):
            hint = f"did you mean {close[0]}?" if close else f"commands that can be submitted: {', '.join(commands)}"
            raise UsageError(f"etude submit {platform}: no command to submit", hint=hint)
    else:
        options, command = rest[:start], rest[start:]
    parser = build_parser(platform)
    ours, command = _ours_among(command, parser)
    flags = parser.parse_args([*options, *ours])
    return SubmitOptions(platform, command, flags, getattr(flags, "set", None) or [])


def build_parser(platform: str) -> Parser:
    """The options of a platform."""
    parser = Parser(
        prog=f"etude submit {platform}",
        usage=f"etude submit {platform} [OPTIONS] COMMAND [ITS OPTIONS]",
        description="Run a command of etude as a job. The command is what you would type here.",
        examples=EXAMPLES,
    )
    add = parser.add_argument_group("job").add_argument
    add("--dry-run", action="store_true", help="print what would be sent, and send nothing")
    add("--stream", "--follow", dest="stream", action="store_true", help="show the log until the job ends")
    add("--json", action="store_true", help="for a script")
    add("--title", metavar="NAME", help="what the job is called (default: the command's --job-name)")
    add("--experiment", metavar="NAME", help="a group of jobs and tracked runs (default: etude)")
    add("--tag", action="append", metavar="KEY=VALUE", help="a searchable word; may be given again")
    add("--env", action="append", metavar="NAME=VALUE", help="a variable that is no secret; may be given again")
    add(
        "--secret",
        action="append",
        metavar="NAME=REFERENCE",
        help="a variable whose value is read where the job runs: keyvault://VAULT/NAME, env://NAME",
    )
    add("--register-model", "-r", dest="register", metavar="NAME", help="register the result under this name")
    add = parser.add_argument_group("resources").add_argument
    add("--timeout", type=_duration("--timeout"), metavar="12h", help="stop it after so long (s, m, h, d)")
    add("--retries", type=_number("--retries", least=0), default=3, metavar="N", help="when its machine is lost (3)")
    if platform == "azureml":
        _add_azureml(parser, add)
    return parser


def _add_azureml(parser: Parser, add: Callable[..., object]) -> None:
    add("--compute", metavar="NAME", help="a cluster or an attached Kubernetes target ($AZUREML_COMPUTE)")
    add("--instance-type", dest="instance_type", metavar="NAME", help="a size that the compute offers")
    add("--nodes", "--instance-count", dest="nodes", type=_number("--nodes"), default=1, metavar="N", help="machines")
    add("--gpus", type=_number("--gpus", least=0), metavar="N", help="processes on each machine, one a GPU")
    add("--shm-size", dest="shm_size", metavar="16g", help="shared memory of the container")
    add("--priority", metavar="NAME", help="in the queue of the compute")
    add("--job-tier", dest="job_tier", metavar="NAME", help="of serverless and low-priority compute")
    add("--image", metavar="IMAGE", help="a container image (the default makes its Python 3.12 when the job starts)")
    add("--environment", metavar="NAME", help="a registered environment: NAME@latest, NAME:VERSION")
    add_workspace_flags(parser)
    add = parser.add_argument_group("Azure ML").add_argument
    add("--identity", metavar="KIND", help="of the job: managed (default), user, none")
    add("--set", action="append", metavar="KEY=VALUE", help="override a value of the job's YAML; may be given again")


def _ours_among(command: Sequence[str], parser: Parser) -> tuple[list[str], list[str]]:
    """Options of ours among the flags of the command."""
    actions = {name: action for action in parser._actions for name in action.option_strings}
    allowed = {f"--{name}" for name in AMONG_COMMAND_FLAGS} | {"-r"}
    ours: list[str] = []
    theirs: list[str] = []
    words = list(command)
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        name = flag.replace("_", "-") if flag.startswith("--") else flag
        if name not in allowed or name not in actions:
            theirs.append(word)
            continue
        if equals:
            ours.append(f"{name}={value}")
        elif actions[name].nargs == 0 or not words:
            ours.append(name)
        else:
            ours += [name, words.pop(0)]
    return ours, theirs


def _number(flag: str, *, least: int = 1) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            return int(text)  # how many are too few is told together with everything else, by the platform's check
        except ValueError:
            raise UsageError(f"{flag} must be a whole number of at least {least}, got {text!r}") from None

    return read


def _duration(flag: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        match = _DURATION.match(text.strip().lower())
        if match:
            return int(match[1]) * _SECONDS[match[2]]
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"{flag} must be a time such as 90m, 12h or 2d, got {text!r}") from None

    return read
