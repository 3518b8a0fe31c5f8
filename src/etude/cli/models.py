"""`etude models`: register checkpoints under a name, list, show and download them."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from etude.cli.arguments import Parser
from etude.cli.command_group import Command, CommandGroup
from etude.cli.models_places import add_places, open_registry
from etude.errors import RegistryError, UsageError

__all__ = ["main"]

STRUCTURE_ONLY = "LeRobot is not installed here, so the policy was not loaded; its files were checked one by one"


def main(argv: Sequence[str]) -> int:
    """Run one sub-command; returns the exit code."""
    return GROUP(argv)


def register(argv: Sequence[str]) -> int:
    """`etude models register`"""
    options = _register_parser().parse_args(argv)
    from etude.cli.models_output import registered_json, registered_text
    from etude.registry import find_candidate
    from etude.registry import register as register_candidate

    tags = _tags(options.tag)
    candidate = find_candidate(options.path or _newest_run(), options.step)
    loads = _loader()
    result = register_candidate(
        open_registry(options, options.registry),
        options.name,
        candidate,
        loads=loads,
        tags=tags,
        evaluation=options.evaluation,
        source=options.source,
        force_new=options.force_new_version,
    )
    if loads is None:
        print(STRUCTURE_ONLY, file=sys.stderr)
    print(json.dumps(registered_json(result), indent=2) if options.json else registered_text(result))
    return 0


def show_list(argv: Sequence[str]) -> int:
    """`etude models list`"""
    parser = _parser("list", "List models, or the versions of one.", ["etude models list", "etude models list NAME"])
    parser.add_argument("name", nargs="?", metavar="NAME", help="the versions of this model")
    add_places(parser)
    options = parser.parse_args(argv)
    from etude.cli.models_output import models_text, version_json, versions_text
    from etude.registry import parse_reference, versions_of

    reference = parse_reference(options.name) if options.name else None
    registry = open_registry(options, reference.kind if reference and reference.kind else options.registry)
    if reference is not None:
        versions = versions_of(registry, reference.name)
        print(
            json.dumps([version_json(item) for item in versions], indent=2) if options.json else versions_text(versions)
        )
        return 0
    models = {name: registry.versions(name) for name in registry.names()}
    if options.json:
        print(json.dumps({name: [version_json(item) for item in found] for name, found in models.items()}, indent=2))
    else:
        print(models_text(models, registry.title))
    return 0


def show(argv: Sequence[str]) -> int:
    """`etude models show`"""
    parser = _parser(
        "show",
        "Say where a model comes from: checkpoint, data, code, run, evaluation.",
        ["etude models show NAME", "etude models show models:/NAME/3", "etude models show azureml:NAME@latest --json"],
    )
    _add_reference(parser)
    add_places(parser)
    options = parser.parse_args(argv)
    from etude.cli.models_output import lineage_text, version_json
    from etude.registry import find, parse_reference

    reference = parse_reference(options.reference)
    version = find(open_registry(options, reference.kind or options.registry), reference)
    print(json.dumps(version_json(version, full=True), indent=2) if options.json else lineage_text(version))
    return 0


def download(argv: Sequence[str]) -> int:
    """`etude models download`"""
    parser = _parser(
        "download",
        "Download a model: complete and verified, or not at all. An interrupted download goes on where it was.",
        ["etude models download NAME DIR", "etude models download azureml:NAME:3 DIR"],
    )
    _add_reference(parser)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder")
    add_places(parser)
    options = parser.parse_args(argv)
    from etude.cli.models_output import downloaded_json, downloaded_text, size
    from etude.registry import download as download_version
    from etude.registry import find, parse_reference

    reference = parse_reference(options.reference)
    registry = open_registry(options, reference.kind or options.registry)
    result = download_version(
        registry,
        find(registry, reference),
        options.folder,
        on_file=lambda name, count: print(f"  {name} ({size(count)})", file=sys.stderr),
    )
    print(json.dumps(downloaded_json(result), indent=2) if options.json else downloaded_text(result))
    return 0


GROUP = CommandGroup(
    "etude models",
    {
        "register": Command(
            register, "give a checkpoint a name and a version", "etude models register NAME outputs/train/RUN"
        ),
        "list": Command(show_list, "list models, or the versions of one", "etude models list"),
        "show": Command(show, "say where a model comes from", "etude models show NAME"),
        "download": Command(download, "bring a version's files here", "etude models download NAME DIR"),
    },
)


def _parser(name: str, description: str, examples: list[str]) -> Parser:
    return Parser(prog=f"etude models {name}", description=description, examples=examples)


def _register_parser() -> Parser:
    parser = _parser(
        "register",
        "Register a checkpoint under a name, with all that led to it. The same content again is the same version.",
        [
            "etude models register NAME outputs/train/RUN",
            "etude models register NAME outputs/train/RUN --step 5000 --tag robot=left",
            "etude models register NAME outputs/train/RUN --registry azureml",
        ],
    )
    parser.add_argument("name", metavar="NAME", help="of the model; letters, digits, '-', '_' and '.'")
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="RUN|CHECKPOINT",
        help="a run folder, a checkpoint, or what `etude models download` wrote (default: the newest run)",
    )
    parser.add_argument(
        "--step",
        metavar="N|best|last",
        help="which checkpoint of the run (default: best where there is one, else last)",
    )
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument(
        "--evaluation",
        type=Path,
        metavar="RESULT",
        help="a result.json or its folder (default: the newest of this checkpoint in the run folder)",
    )
    parser.add_argument(
        "--source", metavar="URI", help="where the same files are already, for example azureml://jobs/…: upload nothing"
    )
    parser.add_argument(
        "--force-new-version", action="store_true", help="make a version even if the same content has one"
    )
    add_places(parser)
    return parser


def _add_reference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference",
        metavar="MODEL",
        help="NAME (its latest version), models:/NAME/VERSION, models:/NAME@ALIAS, azureml:NAME:VERSION, "
        "azureml:NAME@latest",
    )


def _loader() -> Callable[[Path], None] | None:
    """Loads a policy on the CPU; None where the libraries are not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "lerobot")):
        return None

    def load(folder: Path) -> None:
        from etude.policies import load_policy

        load_policy(folder, device="cpu")

    return load


def _tags(given: Sequence[str]) -> dict[str, str]:
    tags = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--tag {text!r} is not KEY=VALUE", hint="--tag robot=left")
        tags[key.strip()] = value.strip()
    return tags


def _newest_run() -> Path:
    """The run that began last under outputs/train."""
    from etude.runs.manifest import RunManifest

    runs = [file for file in Path("outputs/train").glob("*/run.json") if not file.parent.is_symlink()]
    if not runs:
        raise RegistryError("no run is named, and outputs/train holds none", hint="etude models register NAME RUN")
    newest = max(runs, key=lambda file: RunManifest.load(file).created_at).parent
    print(f"registering the newest run: {newest}", file=sys.stderr)
    return newest
