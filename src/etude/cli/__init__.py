"""The command line: the only room that prints.

Each command is a module of this package with `main(argv) -> exit code`. It is imported only when it is called,
so that `etude --help` loads nothing but the standard library.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from etude import __version__
from etude.cli.pasteable import pasteable
from etude.errors import EtudeError, StorageError, UsageError, nearest

__all__ = ["main"]


@dataclass(frozen=True)
class Command:
    """A row of `etude --help`: the module that runs it and what it does."""

    module: str
    summary: str
    example: str


COMMANDS = {
    "train": Command("train", "train a policy from demonstrations", "etude train --dataset.root=DIR"),
    "evaluate": Command(
        "evaluate", "roll a policy out, or replay it against recordings", "etude evaluate --policy.path=RUN"
    ),
    "report": Command("report", "write one HTML page about runs", "etude report outputs/train/NAME"),
    "track": Command("track", "send what a tracking server has missed", "etude track outputs/train/NAME"),
    "data": Command("data", "look at, check, convert and record demonstrations", "etude data check DIR"),
    "submit": Command(
        "submit", "run a command as a job, here or on a platform", "etude submit local train --dataset.root=DIR"
    ),
    "environment": Command("environment", "container environments that jobs run in", "etude environment create"),
    "jobs": Command("jobs", "list, follow, cancel and download jobs", "etude jobs list"),
    "secrets": Command("secrets", "keep tokens in a vault, and check them", "etude secrets set hf_token --vault VAULT"),
    "models": Command("models", "register, list, show and download models", "etude models register NAME RUN"),
    "doctor": Command("doctor", "say what this machine has and what it lacks", "etude doctor"),
    "quickstart": Command("quickstart", "record, train, evaluate and report, in minutes", "etude quickstart"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of the process."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Threads that wait for one that has lost its core would spin until it is back: 300 ms instead of 5 for one
    # inference of a small policy on a busy machine. Read by OpenMP when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return _dispatch(arguments)
    except EtudeError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) went away; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from etude.runs.checkpoints import storage_reason

        reason = storage_reason(error)
        if reason is None:
            raise
        where = f"cannot write {error.filename}" if error.filename else "cannot write"
        return _refuse(StorageError(f"{where}: {reason}", hint="free some space, or choose another folder"))


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    name, *rest = arguments
    if name in ("-V", "--version"):
        print(f"etude {__version__}")
        return 0
    if name not in COMMANDS:
        close = nearest(name, COMMANDS)
        suggestion = f"did you mean: etude {close[0]}" if close else f"commands: {', '.join(COMMANDS)}"
        raise UsageError(f"unknown command {name!r}", hint=suggestion)
    module = importlib.import_module(f"etude.cli.{COMMANDS[name].module}")
    code: int = module.main(rest)
    return code


def _refuse(error: EtudeError) -> int:
    if logging.getLogger("etude").isEnabledFor(logging.DEBUG):
        logging.getLogger("etude").debug("where it happened", exc_info=error)
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  {pasteable(error.hint)}", file=sys.stderr)
    return error.exit_code


def _overview() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    examples = [f"  {command.example}" for command in COMMANDS.values()]
    return "\n".join(
        [
            f"etude {__version__}: train robot policies here, and with the same command on a cluster",
            "",
            "usage: etude COMMAND [OPTIONS]     (etude COMMAND --help explains one)",
            "",
            *rows,
            "",
            "examples:",
            *examples,
        ]
    )
