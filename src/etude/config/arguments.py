"""The command line as pairs of flag and text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from etude.errors import UsageError

__all__ = ["Argument", "read_arguments"]

_NUMBER = re.compile(r"-\.?\d")
# `--json train.yaml` would otherwise swallow what follows.
_NEVER_TAKE_A_VALUE = {"-h", "--help", "--json", "--print-config", "--print_config"}


@dataclass(frozen=True)
class Argument:
    """One flag.

    Attributes:
        flag: as typed, `--batch-size` or `-d`.
        text: its value; None for a bare flag, which means true.
    """

    flag: str
    text: str | None

    @property
    def name(self) -> str:
        """The flag's name with underscores: `batch_size`, `dataset.repo_id`; `-d` stays as it is."""
        if not self.flag.startswith("--"):
            return self.flag
        # Only the first two parts: below them are names of the user's own (`--mlflow.tags.my-team`).
        parts = self.flag[2:].split(".")
        return ".".join([*(part.replace("-", "_") for part in parts[:2]), *parts[2:]])


def read_arguments(argv: Sequence[str]) -> list[Argument]:
    """Split `--a.b=c`, `--a.b c`, `--flag` and `-d value`.

    Raises:
        UsageError: a value without a flag, or a flag without a name.
    """
    arguments: list[Argument] = []
    index = 0
    while index < len(argv):
        word = argv[index]
        index += 1
        flag, equals, text = word.partition("=")
        if not _is_flag(word) or flag in ("-", "--"):
            raise UsageError(
                f"unexpected argument {word!r}: every setting is a flag",
                hint="for example --dataset.root=DIR; see `etude train --help`",
            )
        if equals:
            arguments.append(Argument(flag, text))
        elif flag not in _NEVER_TAKE_A_VALUE and index < len(argv) and not _is_flag(argv[index]):
            arguments.append(Argument(flag, argv[index]))
            index += 1
        else:
            arguments.append(Argument(flag, None))
    return arguments


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not _NUMBER.match(word)
