"""The folder that is sent, named by what it holds.

bundle-DIGEST/
    job.json              the command with placeholders, names of inputs and outputs, references to secrets
    config.yaml           the resolved settings of the command, if it has some
    etude-….whl           this very version of the project
    requirements.txt      what it needs, by version and hash
    bootstrap.sh          the first thing that runs there
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from etude.errors import PlatformError, nearest
from etude.platforms.bundle.wheel import write_wheel

__all__ = ["Bundle", "BundledCommand", "write_bundle"]

FORMAT = 1
REQUIREMENTS = Path(__file__).with_name("requirements")
BOOTSTRAP = Path(__file__).with_name("bootstrap.sh")
SATISFIED = Path(__file__).with_name("satisfied.py")


@dataclass(frozen=True)
class BundledCommand:
    """What `job.json` says.

    Attributes:
        command: of `etude`, with `{bundle}`, `{input:NAME}` and `{output:NAME}` where folders go.
        resume: the command for a job that was started before and left something in its outputs; empty: the same.
        run_output: the output that is a run folder, if one is.
        inputs, outputs: their names.
        environment: variables that are no secrets.
        secrets: variable to reference.
        module: what `python -m` runs with the command.
        processes: of the command on each machine, one a GPU; more than one are started by torchrun.
        after: commands that follow when the first has succeeded, `models register` for example.
    """

    command: tuple[str, ...]
    resume: tuple[str, ...] = ()
    run_output: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    module: str = "etude.cli"
    processes: int = 1
    after: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def load(cls, folder: Path) -> BundledCommand:
        """Read the `job.json` of a bundle.

        Raises:
            PlatformError: it is absent, damaged, or of another version.
        """
        file = folder / "job.json"
        try:
            body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if body.pop("format") != FORMAT:
                raise PlatformError(f"{file} is of another version of etude", hint="submit the job again")
            body["after"] = tuple(tuple(command) for command in body["after"])
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in body.items()
            }
            return cls(**fields)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlatformError(f"{file} cannot be read: {error}", hint="submit the job again") from error


@dataclass(frozen=True)
class Bundle:
    """A bundle on this machine.

    Attributes:
        digest: SHA-256 of the names and contents of its files.
        bytes: of all of them.
    """

    folder: Path
    digest: str
    bytes: int
    command: BundledCommand


def write_bundle(
    command: BundledCommand, parent: Path, *, requirements: str = "imitation", config: str | None = None
) -> Bundle:
    """Write a bundle below `parent`; one with the same content that is there already is used.

    Args:
        requirements: the list, `requirements/NAME.txt`.
        config: text of `config.yaml`.

    Raises:
        PlatformError: there is no such list of requirements.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-bundle-", dir=parent) as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        write_wheel(folder)
        shutil.copyfile(_requirements(requirements), folder / "requirements.txt")
        for script in (BOOTSTRAP, SATISFIED):
            shutil.copyfile(script, folder / script.name)
        body: dict[str, Any] = {"format": FORMAT, **asdict(command)}
        (folder / "job.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if config is not None:
            (folder / "config.yaml").write_text(config, encoding="utf-8")
        digest, size = content_digest(folder)
        target = parent / f"bundle-{digest[:16]}"
        if not target.is_dir():
            try:
                os.rename(folder, target)
            except OSError:
                if not target.is_dir():  # not another process that was faster
                    raise
    return Bundle(target, digest, size, command)


def content_digest(folder: Path) -> tuple[str, int]:
    """SHA-256 over the names and contents of all files, and their bytes."""
    total, size = hashlib.sha256(), 0
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        name = file.relative_to(folder).as_posix()
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
        size += len(data)
    return total.hexdigest(), size


def _requirements(name: str) -> Path:
    file = REQUIREMENTS / f"{name}.txt"
    if not file.is_file():
        known = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
        close = nearest(name, known)
        raise PlatformError(
            f"there is no list of requirements {name!r}; there are {', '.join(known) or 'none'}",
            hint=f"did you mean {close[0]}?" if close else "install etude from a clone or from its wheel",
        )
    return file
