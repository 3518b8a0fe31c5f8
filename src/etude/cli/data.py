"""`etude data`: look at demonstrations, check them, convert them, record them, keep their frames decoded."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etude.cli.arguments import Parser
from etude.cli.command_group import Command, CommandGroup
from etude.cli.episode_list import read_episodes
from etude.cli.pasteable import command_line

if TYPE_CHECKING:
    from etude.data.sources import DatasetLocation

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run one sub-command; returns the exit code."""
    return GROUP(argv)


def info(argv: Sequence[str]) -> int:
    """`etude data info`"""
    parser = _parser("info", "Say what a dataset holds.", ["etude data info DIR", "etude data info USER/NAME --json"])
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    options = parser.parse_args(argv)
    from etude.cli.data_output import describe
    from etude.data.summary import summarise

    summary = summarise(_located(options))
    print(json.dumps(summary.to_dict(), indent=2) if options.json else describe(summary))
    return 0


def check(argv: Sequence[str]) -> int:
    """`etude data check`"""
    parser = _parser(
        "check",
        "Check a dataset. Exit code: 0 sound, 4 errors; with --strict also 4 for warnings.",
        ["etude data check DIR", "etude data check DIR --level full", "etude data check USER/NAME --json"],
    )
    parser.add_argument(
        "--level",
        choices=("fast", "full"),
        default="fast",
        help="fast: metadata, rows and the headers of videos (default); full: decode every picture too",
    )
    parser.add_argument("--episodes", metavar="LIST", help="only these, for example 0-4,9")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors in the exit code")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")
    options = parser.parse_args(argv)
    from etude.cli.data_output import report_text, stages
    from etude.data.checks import check_dataset

    episodes = read_episodes(options.episodes) if options.episodes else None
    location = _located(options)
    with stages() as progress:
        report = check_dataset(location.root, options.level, episodes, progress)
    print(json.dumps(report.to_dict(), indent=2) if options.json else report_text(report))
    refused = not report.is_sound or (options.strict and report.tally()["warning"] > 0)
    return 4 if refused else 0


def convert(argv: Sequence[str]) -> int:
    """`etude data convert`"""
    parser = _parser(
        "convert",
        "Rewrite a v2.1 dataset as v3.0, on a copy; the original stays as it is.",
        ["etude data convert DIR", "etude data convert DIR --output NEW_DIR"],
    )
    parser.add_argument("--output", metavar="NEW_DIR", help="the folder to write (default: DIR-v30 beside it)")
    options = parser.parse_args(argv)
    from etude.cli.data_output import stages
    from etude.data.conversion import convert as convert_dataset

    location = _located(options)
    with stages() as progress:
        target = convert_dataset(location.root, options.output, progress)
    print(f"written: {target}\nnext:    {command_line(['data', 'check', str(target)])}")
    return 0


def record(argv: Sequence[str]) -> int:
    """`etude data record`"""
    module = importlib.import_module("etude.cli.data_record")
    code: int = module.main(argv)
    return code


def cache(argv: Sequence[str]) -> int:
    """`etude data cache`"""
    module = importlib.import_module("etude.cli.data_cache")
    code: int = module.main(argv)
    return code


def push(argv: Sequence[str]) -> int:
    """`etude data push`"""
    module = importlib.import_module("etude.cli.data_push")
    code: int = module.main(argv)
    return code


GROUP = CommandGroup(
    "etude data",
    {
        "info": Command(info, "say what a dataset holds", "etude data info DIR"),
        "check": Command(check, "find what is wrong with a dataset", "etude data check DIR --level full"),
        "convert": Command(convert, "rewrite a v2.1 dataset as v3.0, on a copy", "etude data convert DIR"),
        "record": Command(record, "record demonstrations of a simulated task", "etude data record --help"),
        "push": Command(push, "upload a dataset as a versioned asset", "etude data push azureml NAME DIR"),
        "cache": Command(cache, "keep decoded frames, list and remove them", "etude data cache list"),
    },
)


def _parser(name: str, description: str, examples: list[str]) -> Parser:
    parser = Parser(prog=f"etude data {name}", description=description, examples=examples)
    parser.add_argument("dataset", nargs="?", metavar="DIR|REPO_ID", help="a folder, or a dataset on the hub")
    parser.add_argument("--dataset.root", "--root", dest="root", metavar="DIR", help="the dataset's folder")
    parser.add_argument("--dataset.repo_id", "--repo-id", dest="repo_id", metavar="REPO_ID", help="its name on the hub")
    parser.add_argument("--revision", metavar="REVISION", help="a tag, a branch or a commit on the hub")
    return parser


def _located(options: argparse.Namespace) -> DatasetLocation:
    from etude.data.sources import locate

    return locate(options.dataset or options.repo_id, options.root, options.revision)
