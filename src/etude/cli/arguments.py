"""An argument parser whose mistakes are told like every other error: what was given, and what is nearest."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from etude.errors import UsageError, nearest

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` that raises `UsageError`, never abbreviates, and ends its help with examples.

    Args:
        examples: command lines shown at the end of `--help`.
    """

    def __init__(self, prog: str | None = None, *, examples: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        if examples:
            kwargs["epilog"] = "\n".join(["examples:", *(f"  {line}" for line in examples)])
        super().__init__(prog, allow_abbrev=False, **kwargs)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, refusing unknown flags with the nearest known one."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._refuse_unknown(unknown[0])
        return parsed

    def error(self, message: str) -> NoReturn:
        """Called by argparse for a wrong or missing value."""
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            allowed = [name.strip("' ") for name in choice.group(2).split(",")]
            close = nearest(choice.group(1), allowed)
            message += f"; nearest: {close[0]}" if close else ""
        raise UsageError(f"{self.prog}: {message}", hint=f"{self.prog} --help")

    def _refuse_unknown(self, argument: str) -> NoReturn:
        flag = argument.split("=", 1)[0]
        known = [option for action in self._actions for option in action.option_strings]
        close = nearest(flag, known) if flag.startswith("-") else []
        hint = f"did you mean {' or '.join(close)}?" if close else f"{self.prog} --help"
        raise UsageError(f"{self.prog}: unknown argument {argument!r}", hint=hint)
