"""A job from its start to its end: where things lie, secrets, the command, signals, outputs, exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from etude.errors import EtudeError, PlatformError
from etude.platforms.bundle.folder import BundledCommand
from etude.platforms.node.machines import Machine
from etude.platforms.node.mirror import Mirror, keeps_renames, restore, write_manifest
from etude.platforms.node.placeholders import filled
from etude.secrets import resolve_all
from etude.secrets.redaction import VARIABLES

__all__ = ["main"]

INTERRUPTED = 128 + signal.SIGTERM
"""Exit code of a command that was asked to stop and did so in good order: the job is not done, and may go on."""
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


def main(argv: Sequence[str]) -> int:
    """Run the bundle's command; returns the exit code of the job."""
    options = _parser().parse_args(argv)
    bundle = Path(options.bundle)
    try:
        command = BundledCommand.load(bundle)
        inputs, outputs = _places("--input", options.input), _places("--output", options.output)
        _refuse_missing(command, inputs, outputs)
        return _Node(command, bundle, inputs, outputs).run()
    except EtudeError as error:
        _tell(error.message + (f" ({error.hint})" if error.hint else ""))
        return error.exit_code
    finally:
        if options.code:
            shutil.rmtree(options.code, ignore_errors=True)


class _Node:
    """This machine, working on one job."""

    def __init__(
        self, command: BundledCommand, bundle: Path, inputs: Mapping[str, Path], outputs: Mapping[str, Path]
    ) -> None:
        self._command, self._bundle, self._inputs, self._outputs = command, bundle, inputs, outputs
        self._machine = Machine.of(os.environ)
        self._child: subprocess.Popen[bytes] | None = None
        self._asked_to_stop = False

    def run(self) -> int:
        """The command, and those that follow it; its outputs are kept, however it ends."""
        for number in FORWARDED:
            signal.signal(number, self._forward)
        environment = self._environment()
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="etude-outputs-")))
            mirrors: list[Mirror] = []
            folders = {}
            for name, kept in self._outputs.items():
                folders[name] = self._output_folder(name, kept, scratch)
                if folders[name] != kept and self._machine.is_first:
                    mirrors.append(stack.enter_context(Mirror(folders[name], kept, tell=_tell)))
            code = self._all_commands(folders, environment)
            kept_all = [mirror.finish() for mirror in mirrors]
            for name, kept in self._outputs.items():
                if folders[name] == kept:
                    write_manifest(kept)
        if not all(kept_all):
            _tell("not every output could be kept; see above")
            return code or PlatformError.exit_code
        return code

    def _output_folder(self, name: str, kept: Path, scratch: Path) -> Path:
        """Where the command writes: the place itself on a disk, else a folder here with what is there already."""
        kept.mkdir(parents=True, exist_ok=True)
        if self._machine.is_first and keeps_renames(kept):
            return kept
        folder = scratch / name
        folder.mkdir()
        if count := restore(kept, folder):
            _tell(f"{count} files of an earlier attempt are back in output {name}")
        return folder

    def _all_commands(self, folders: Mapping[str, Path], environment: Mapping[str, str]) -> int:
        first = self._command.command
        if self._command.resume and self._was_started(folders):
            _tell("an earlier attempt left checkpoints: going on from the last one")
            first = self._command.resume
        else:
            for folder in folders.values():  # what a killed attempt left is of no use, and would be in the way
                _clear(folder)
        machine, module = self._machine, self._command.module
        launcher = machine.launcher(module, self._command.processes)
        for command in (first, *(self._command.after if machine.is_first else ())):
            arguments = filled(command, self._bundle, self._inputs, folders)
            code = self._call([*launcher, *arguments], machine.environment(environment))
            launcher = Machine().launcher(module, 1)  # what follows is no training
            if code != 0:
                return code
        return 0

    def _was_started(self, folders: Mapping[str, Path]) -> bool:
        run = folders[self._command.run_output]
        return any((run / "checkpoints").glob("[0-9]*"))

    def _environment(self) -> dict[str, str]:
        """Of the command: the only place where the values of secrets are; it masks them in what it writes."""
        names = {VARIABLES: ",".join(self._command.secrets)}
        return {**os.environ, **self._command.environment, **names, **resolve_all(self._command.secrets)}

    def _call(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        if self._asked_to_stop:
            return INTERRUPTED
        self._child = subprocess.Popen(arguments, env=dict(environment))
        if self._asked_to_stop:  # the signal came between the look and the start
            self._child.terminate()
        code = self._child.wait()
        if code < 0:
            return 128 - code
        return INTERRUPTED if self._asked_to_stop and code == 0 else code

    def _forward(self, number: int, _: object) -> None:
        self._asked_to_stop |= number in (signal.SIGTERM, signal.SIGINT)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="etude.platforms.node")
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--code", default="")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--output", action="append", default=[], metavar="NAME=FOLDER")
    return parser


def _places(flag: str, given: Sequence[str]) -> dict[str, Path]:
    places = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise PlatformError(f"{flag} must be NAME=FOLDER, got {text!r}")
        places[name] = Path(folder)
    return places


def _refuse_missing(command: BundledCommand, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    for kind, names, places in (("input", command.inputs, inputs), ("output", command.outputs, outputs)):
        missing = [name for name in names if name not in places]
        if missing:
            raise PlatformError(f"the platform gave no folder for {kind} {', '.join(missing)}")
    for name, place in inputs.items():
        if not place.exists():
            raise PlatformError(
                f"input {name} is not at {place}", hint="the platform could not bring it; see its page about the job"
            )


def _clear(folder: Path) -> None:
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


def _tell(sentence: str) -> None:
    sys.stderr.write(f"job: {sentence}\n")
    sys.stderr.flush()
