"""Commands as the reader can paste them: the name where the shell finds the program, else the path to it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["command_line", "pasteable", "seen_from_here"]

COMMAND = re.compile(
    r"(?<![\w./-])"
    r"(etude (?=(train|evaluate|report|track|data|environment|models|submit|jobs|secrets|doctor|quickstart)\b)"
    r"|mlflow (?=ui\b)|wandb (?=(login|sync)\b))"
)


def command_line(words: Sequence[str]) -> str:
    """The line that runs `etude WORDS` from this folder."""
    return f"{_program('etude')} {shlex.join(words)}"


def pasteable(text: str) -> str:
    """The text, with each `etude COMMAND` (or `mlflow ui`) in it as it is called from here.

    The rooms below write `etude train ...`; that works in a shell only after `source .venv/bin/activate`.
    """
    return COMMAND.sub(lambda found: f"{_program(found[1].strip())} ", text)


def seen_from_here(path: str | Path) -> str:
    """The path, without the part that leads to this folder."""
    try:
        return str(Path(path).absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _program(name: str) -> str:
    own = Path(sys.prefix) / "bin" / name
    found = shutil.which(name)
    if found and os.path.realpath(found) == os.path.realpath(own):
        return name
    if not own.is_file():
        return name
    relative = os.path.relpath(own)
    return shlex.quote(str(own) if relative.startswith("..") else relative)
