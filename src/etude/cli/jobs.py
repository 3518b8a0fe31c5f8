"""`etude jobs`: what was sent, what it does, what it says, and what it left."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etude.cli.arguments import Parser
from etude.cli.command_group import Command, CommandGroup
from etude.cli.jobs_output import status_text, table
from etude.cli.pasteable import command_line
from etude.errors import EtudeError, JobError, PlatformError
from etude.platforms.following import LogReader, follow
from etude.platforms.handles import Handle
from etude.platforms.ledger import Entry, Ledger
from etude.platforms.opening import open_platform
from etude.platforms.places import state_folder
from etude.platforms.seam import Platform
from etude.platforms.sending import recover
from etude.platforms.states import JobState, JobStatus

__all__ = ["main", "show_log"]

JOB = "JOB: its name, the beginning of it, its title, its address, or last"


def main(argv: Sequence[str]) -> int:
    """Run one sub-command; returns the exit code."""
    return GROUP(argv)


def list_(argv: Sequence[str]) -> int:
    """`etude jobs list`"""
    parser = _parser(
        "list", "The jobs sent from this machine, newest first.", ["etude jobs list", "etude jobs list --json"]
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="the newest N (default: 20)")
    parser.add_argument("--offline", action="store_true", help="what is known here, without asking any platform")
    options = parser.parse_args(argv)
    ledger = _ledger()
    rows: list[tuple[Entry, JobStatus | None, str]] = []
    for entry in ledger.entries()[: options.limit]:
        rows.append((entry, *(_looked_up(entry, ledger) if not options.offline else (None, ""))))
    if options.json:
        print(json.dumps([_row(*row) for row in rows], indent=2))
    else:
        print(table(rows) if rows else "no job was sent from this machine; see `etude submit --help`")
    return 0


def status(argv: Sequence[str]) -> int:
    """`etude jobs status`"""
    parser = _parser("status", "What a job is doing.", ["etude jobs status last", "etude jobs status JOB --json"])
    parser.add_argument("job", metavar="JOB", help=JOB)
    options = parser.parse_args(argv)
    platform, handle, entry = _meant(options)
    now = platform.status(handle)
    if options.json:
        print(json.dumps(_row(entry, now, "") | {"outputs": list(platform.outputs(handle))}, indent=2))
    else:
        print(status_text(now, entry, platform.outputs(handle)))
    return 0


def logs(argv: Sequence[str]) -> int:
    """`etude jobs logs`"""
    parser = _parser(
        "logs",
        "What a job wrote. Exit code with --follow: 0 when it succeeded, 14 when it did not.",
        ["etude jobs logs last", "etude jobs logs JOB --follow"],
    )
    parser.add_argument("job", metavar="JOB", help=JOB)
    parser.add_argument("--follow", "-f", action="store_true", help="until the job ends; Ctrl-C leaves it running")
    options = parser.parse_args(argv)
    platform, handle, _ = _meant(options)
    return show_log(platform, handle, handle.name, follow_it=options.follow)


def cancel(argv: Sequence[str]) -> int:
    """`etude jobs cancel`"""
    parser = _parser("cancel", "Stop a job; a training saves a checkpoint first.", ["etude jobs cancel JOB"])
    parser.add_argument("job", metavar="JOB", help=JOB)
    options = parser.parse_args(argv)
    platform, handle, _ = _meant(options)
    before = platform.status(handle)
    if before.state.is_final:
        print(f"{handle}: nothing to cancel, it has {before.state}")
        return 0
    platform.cancel(handle)
    print(f"{handle}: asked to stop\nnext\n  {command_line(['jobs', 'status', handle.name])}")
    return 0


def download(argv: Sequence[str]) -> int:
    """`etude jobs download`"""
    parser = _parser(
        "download",
        "Bring an output of a job here, verified. The same command goes on where an interrupted one stopped.",
        ["etude jobs download last --output checkpoint", "etude jobs download JOB --output checkpoint --path DIR"],
    )
    parser.add_argument("job", metavar="JOB", help=JOB)
    parser.add_argument("--output", "--output-name", dest="output", metavar="NAME", help="default: the only one")
    parser.add_argument(
        "--path", "--download-path", dest="path", metavar="DIR", help="default: outputs/jobs/JOB/OUTPUT"
    )
    options = parser.parse_args(argv)
    from etude.cli.data_output import stages
    from etude.platforms.downloading import download as bring

    platform, handle, _ = _meant(options)
    output = options.output or _only(platform.outputs(handle), handle)
    folder = Path(options.path) if options.path else Path("outputs/jobs") / handle.name / output
    with stages() as progress:
        found = bring(platform, handle, output, folder, progress=progress)
    if options.json:
        print(json.dumps({**vars(found), "folder": str(found.folder)}, indent=2))
        return 0
    here = found.files - found.fetched
    print(
        f"{found.folder}: {found.files} files, {found.bytes / 2**20:.1f} MiB"
        f"{f', {here} were here' if here else ''}; {found.verified} verified by checksum, all by size"
    )
    return 0


def show_log(platform: Platform, handle: Handle, name: str, *, follow_it: bool) -> int:
    """Print the log; with `follow_it` until the job ends. Ctrl-C says how to come back."""
    reader = LogReader(platform, handle)
    try:
        if not follow_it:
            for line in reader.new_lines(to_the_end=True):
                print(line)
            return 0
        for line in follow(reader, tell=lambda sentence: print(f"[{name}] {sentence}", file=sys.stderr, flush=True)):
            print(line, flush=True)
    except KeyboardInterrupt:
        print(f"the job goes on; to come back:\n  {command_line(['jobs', 'logs', name, '--follow'])}", file=sys.stderr)
        return 130
    return 0 if platform.status(handle).state is JobState.SUCCEEDED else JobError.exit_code


GROUP = CommandGroup(
    "etude jobs",
    {
        "list": Command(list_, "the jobs sent from this machine", "etude jobs list"),
        "status": Command(status, "what a job is doing", "etude jobs status last"),
        "logs": Command(logs, "what it wrote", "etude jobs logs last --follow"),
        "cancel": Command(cancel, "stop it", "etude jobs cancel JOB"),
        "download": Command(download, "bring an output here", "etude jobs download last --output checkpoint"),
    },
    about="Jobs that were sent with `etude submit`; from any folder, and after a crash.",
)


def _parser(name: str, description: str, examples: list[str]) -> Parser:
    parser = Parser(prog=f"etude jobs {name}", description=description, examples=examples)
    parser.add_argument("--json", action="store_true", help="for a script")
    return parser


def _ledger() -> Ledger:
    return Ledger(state_folder() / "jobs")


def _meant(options: argparse.Namespace) -> tuple[Platform, Handle, Entry | None]:
    """The job that the user means, and the platform that has it.

    Raises:
        JobError: there is none, or it was never sent.
    """
    ledger = _ledger()
    entry = ledger.find(options.job)
    if entry is None:
        handle = Handle.parse(options.job)
        return open_platform(handle.platform, {"workspace": handle.place} if handle.place else {}), handle, None
    platform = open_platform(entry.platform, entry.settings)
    if not entry.is_sent:
        found = recover(platform, entry, ledger)
        if found is None:
            raise JobError(
                f"{entry.name} is not on {entry.platform}: sending it was interrupted", hint="submit it again"
            )
        entry = found
    return platform, Handle.parse(entry.handle), entry


def _looked_up(entry: Entry, ledger: Ledger) -> tuple[JobStatus | None, str]:
    """The state, or why it is not known."""
    try:
        platform = open_platform(entry.platform, entry.settings)
        if not entry.is_sent:
            found = recover(platform, entry, ledger)
            if found is None:
                return None, "not sent"
            entry = found
        return platform.status(Handle.parse(entry.handle)), ""
    except (PlatformError, JobError) as error:
        return None, error.message
    except EtudeError as error:
        return None, error.message


def _row(entry: Entry | None, now: JobStatus | None, why: str) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if entry is not None:
        known |= {"name": entry.name, "title": entry.title, "platform": entry.platform, "created": entry.created}
        known |= {"job": entry.handle, "command": list(entry.command)}
    if now is not None:
        known |= {"job": now.handle, "state": now.state.value, "said": now.said, "reason": now.reason}
        known |= {"exit_code": now.exit_code, "attempt": now.attempt, "started": now.started, "ended": now.ended}
        known |= {"url": now.url}
    return known | ({"problem": why} if why else {})


def _only(outputs: Sequence[str], handle: Handle) -> str:
    if len(outputs) == 1:
        return outputs[0]
    told = f"it has {', '.join(outputs)}" if outputs else "it has none"
    raise JobError(f"which output of {handle.name}? {told}", hint=f"etude jobs download {handle.name} --output NAME")
