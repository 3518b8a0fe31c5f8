"""A command that only holds other commands: `etude data`, `etude data cache`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from etude.errors import UsageError, nearest

__all__ = ["Command", "CommandGroup"]


@dataclass(frozen=True)
class Command:
    """One of a group.

    Attributes:
        run: takes what follows its name; returns the exit code.
        summary: one line for the overview.
        example: a command line.
    """

    run: Callable[[Sequence[str]], int]
    summary: str
    example: str


@dataclass(frozen=True)
class CommandGroup:
    """Calls the command that is named, or says which there are.

    Attributes:
        name: as it is typed, "etude data".
        about: a sentence for the overview; may be empty.
    """

    name: str
    commands: Mapping[str, Command]
    about: str = ""

    def __call__(self, argv: Sequence[str]) -> int:
        """Run one command; returns its exit code.

        Raises:
            UsageError: there is none of that name.
        """
        if not argv or argv[0] in ("-h", "--help", "help"):
            print(self.overview())
            return 0
        name, *rest = argv
        if name not in self.commands:
            close = nearest(name, self.commands)
            hint = f"did you mean: {self.name} {close[0]}" if close else f"commands: {', '.join(self.commands)}"
            raise UsageError(f"unknown command {name!r} after `{self.name}`", hint=hint)
        return self.commands[name].run(rest)

    def overview(self) -> str:
        """What `--help` prints."""
        width = max(map(len, self.commands)) + 2
        rows = [f"  {name:<{width}}{command.summary}" for name, command in self.commands.items()]
        examples = [f"  {command.example}" for command in self.commands.values()]
        usage = f"usage: {self.name} COMMAND [OPTIONS]     ({self.name} COMMAND --help explains one)"
        return "\n".join([usage, "", *([self.about, ""] if self.about else []), *rows, "", "examples:", *examples])
