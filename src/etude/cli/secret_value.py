"""How a secret's value comes in: typed without being shown, or through standard input. Never as an argument."""

from __future__ import annotations

import getpass
import sys
import warnings
from collections.abc import Collection, Sequence

from etude.errors import SecretError, UsageError

__all__ = ["read_value", "refuse_a_value"]

REFUSAL = "a secret's value is never given as an argument: process lists and the shell's history would show it"


def refuse_a_value(argv: Sequence[str], name_of_command: str, valued: Collection[str], bare: Collection[str]) -> None:
    """Refuse everything but one name and known flags, before a parser would repeat it in a message.

    Args:
        valued: flags that take a value.
        bare: flags that take none.

    Raises:
        UsageError: there is more; it is not repeated.
    """
    names, words = 0, iter(argv)
    for word in words:
        flag, joined, _ = word.partition("=")
        if flag in valued:
            if not joined:
                next(words, None)
        elif word.startswith("-") or names:
            if word not in bare:
                ways = f"{name_of_command} NAME, then type it; or: {name_of_command} NAME < FILE"
                raise UsageError(REFUSAL, hint=f"{ways}; it has the flags {', '.join((*valued, *bare))}")
        else:
            names += 1


def read_value(name: str) -> str:
    """The value as it was typed or sent.

    Raises:
        SecretError: it cannot be typed unseen here, or is not UTF-8 text.
    """
    if not sys.stdin.isatty():
        try:
            return sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError:
            raise SecretError("the value in standard input is not UTF-8 text") from None
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would go on, and show what is typed
        try:
            return getpass.getpass(f"value of {name} (it is not shown): ")
        except getpass.GetPassWarning:
            raise SecretError(
                "this terminal would show what is typed", hint=f"etude secrets set {name} < FILE"
            ) from None
        except EOFError:
            return ""
