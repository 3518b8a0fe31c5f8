"""What is wrong with a job, all of it, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etude.errors import EtudeError

__all__ = ["Problem", "RefusedJobError"]


@dataclass(frozen=True)
class Problem:
    """One thing to mend.

    Attributes:
        message: what was given, and why it cannot be.
        fix: what to do, ideally what to type.
    """

    message: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.fix})" if self.fix else self.message


class RefusedJobError(EtudeError):
    """A job that our own check does not let through; nothing was sent."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        lines = [f"{number}. {problem.message}" for number, problem in enumerate(problems, 1)]
        # One under the other, each with its fix: they are mended one after the other.
        told = "\n".join(
            f"  {line}" + (f"\n     {problem.fix}" if problem.fix else "")
            for line, problem in zip(lines, problems, strict=True)
        )
        super().__init__(f"{count} problem{'s' if count > 1 else ''}; nothing was sent\n{told}")
        self.problems = list(problems)
