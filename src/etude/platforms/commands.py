"""A command line that works here, as one that works where a job runs.

Folders become inputs and outputs (`{input:dataset}`), a config file travels in the bundle, everything else stays as
it was typed. What is not a folder here and not an asset of the platform, a name on the hub for example, is left to
the job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etude.config.arguments import Argument, read_arguments
from etude.config.files import dump_yaml, read_config
from etude.config.request import DEFAULT
from etude.config.resolution import resolve
from etude.errors import UsageError, nearest
from etude.platforms.bundle.folder import BundledCommand
from etude.platforms.job import Input
from etude.platforms.needs import needs_of_training

__all__ = ["COMMANDS", "Translated", "translate"]

_ASSET = re.compile(r"^(azureml:|[a-z][a-z0-9+.-]*://)")


@dataclass(frozen=True)
class Translated:
    """What a command line becomes.

    Attributes:
        command: for the bundle.
        inputs: folders and assets that the job needs.
        config: text of the config file that goes along; None without one.
        title: what the job is called unless the user says otherwise.
        requirements: the list of libraries that the command needs.
        needs: secrets that it will ask for: environment variable to why.
    """

    command: BundledCommand
    inputs: tuple[Input, ...]
    config: str | None
    title: str
    requirements: str = "imitation"
    needs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    """A flag whose value is a folder: its names, and the name and the kind of the input."""

    names: tuple[str, ...]
    input: str
    kind: str = "data"


DATASET = _Place(("dataset.root", "dataset_root", "root"), "dataset")
TRAINED = _Place(("policy.path", "policy_path", "policy_repo_id"), "policy", "model")
POLICY = _Place((*TRAINED.names, "-p"), "policy", "model")
COMPARED = _Place(("compare",), "compared", "model")
CONFIG = ("config", "config_path")


def translate(argv: Sequence[str]) -> Translated:
    """Translate `train …`, `evaluate …`.

    Raises:
        UsageError: it is no command, or one that makes no sense elsewhere; or a setting is refused here already.
    """
    if not argv:
        raise UsageError(
            f"no command to submit; there are {', '.join(COMMANDS)}", hint="etude submit local train --dataset.root=DIR"
        )
    name, *rest = argv
    if name not in COMMANDS:
        close = nearest(name, COMMANDS)
        hint = f"did you mean {close[0]}?" if close else f"commands that can be submitted: {', '.join(COMMANDS)}"
        raise UsageError(f"{name!r} cannot be submitted", hint=hint)
    return COMMANDS[name](rest)


def _train(argv: Sequence[str]) -> Translated:
    resolved = resolve(argv)
    request = resolved.request
    if request.help or request.print_config:
        raise UsageError("--help and --print-config answer here: leave `submit PLATFORM` out")
    if request.resume is not None:
        raise UsageError(
            f"--resume={request.resume} continues a run of this machine",
            hint="a job that was interrupted goes on by itself; to fine-tune, give --policy-repo-id and a model",
        )
    arguments = read_arguments(argv)
    file = _last(arguments, CONFIG)
    config = read_config(Path(file)) if file else None
    replaced = [*DATASET.names, *CONFIG, "output_dir", "job_name", "-j", "json"]
    places = [(DATASET, _value(resolved.values, "dataset", "root"))]
    policy, title = _value(resolved.values, "policy", "path"), str(resolved.values["job_name"])
    if policy and _is_brought(policy):
        places.append((TRAINED, policy))
        replaced += TRAINED.names
        if resolved.source("job_name") == DEFAULT:
            title = f"{_readable(policy)}-finetuned"
    inputs, flags = _inputs(places, arguments)
    if inputs and inputs[0].name == DATASET.input and resolved.source("dataset.repo_id") == DEFAULT:
        flags.append(f"--dataset.repo_id=local/{_readable(inputs[0].reference)}")
    data_flags = [flag for flag in flags if "{input:dataset}" in flag]
    command = BundledCommand(
        command=(
            "train",
            *(["--config={bundle}/config.yaml"] if config else []),
            *_kept(arguments, replaced),
            *flags,
            f"--job_name={title}",
            "--output_dir={output:checkpoint}",
        ),
        resume=("train", "--resume={output:checkpoint}", *data_flags),
        run_output="checkpoint",
        inputs=tuple(item.name for item in inputs),
        outputs=("checkpoint",),
    )
    text = dump_yaml(config.values) if config else None
    return Translated(command, tuple(inputs), text, title, needs=needs_of_training(resolved))


def _evaluate(argv: Sequence[str]) -> Translated:
    arguments = read_arguments(argv)
    if any(argument.name in ("-h", "help") for argument in arguments):
        raise UsageError("--help answers here: leave `submit PLATFORM` out")
    places = []
    for place in (POLICY, COMPARED, DATASET):
        value = _last(arguments, place.names)
        if value and _is_brought(value):
            places.append((place, value))
    policy = _last(arguments, POLICY.names)
    if not policy:
        raise UsageError("evaluate needs --policy.path", hint="for example --policy.path=azureml:NAME:1")
    inputs, flags = _inputs(places, arguments)
    replaced = [name for place, _ in places for name in place.names] + ["output_dir", "json"]
    command = BundledCommand(
        command=("evaluate", *_kept(arguments, replaced), *flags, "--output_dir={output:evaluation}"),
        inputs=tuple(item.name for item in inputs),
        outputs=("evaluation",),
    )
    return Translated(command, tuple(inputs), None, f"evaluate-{_readable(policy)}")


COMMANDS: dict[str, Callable[[Sequence[str]], Translated]] = {"train": _train, "evaluate": _evaluate}


def _inputs(
    places: Sequence[tuple[_Place, str | None]], arguments: Sequence[Argument]
) -> tuple[list[Input], list[str]]:
    """The inputs, and the flags that refer to them: under the name that was typed, which may mean something more."""
    inputs, flags = [], []
    for place, value in places:
        if value:
            typed = [item.flag for item in arguments if item.name in place.names and item.flag.startswith("--")]
            flag = typed[-1] if typed else f"--{place.names[0]}"
            inputs.append(Input(place.input, value, flag, place.kind))
            flags.append(f"{flag}={{input:{place.input}}}")
    return inputs, flags


def _is_brought(reference: str) -> bool:
    """Whether the platform must bring it: an asset of its own, or a folder here."""
    return bool(_ASSET.match(reference)) or Path(reference).expanduser().exists()


def _kept(arguments: Sequence[Argument], replaced: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for argument in arguments:
        if argument.name in replaced:
            continue
        if argument.text is None:
            kept.append(argument.flag)
        elif argument.flag.startswith("--"):
            kept.append(f"{argument.flag}={argument.text}")
        else:
            kept += [argument.flag, argument.text]
    return kept


def _last(arguments: Sequence[Argument], names: Sequence[str]) -> str | None:
    return next((argument.text for argument in reversed(arguments) if argument.name in names and argument.text), None)


def _value(values: object, section: str, key: str) -> str | None:
    below = values.get(section) if isinstance(values, dict) else None
    value = below.get(key) if isinstance(below, dict) else None
    return str(value) if value else None


def _readable(reference: str) -> str:
    """A folder's or an asset's own name."""
    asset = re.match(r"^azureml:([^:@/]+)", reference)
    name = asset[1] if asset else Path(reference.rstrip("/")).name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name) or "data"
