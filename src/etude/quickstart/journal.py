"""What of a quickstart is done, so that an interrupted one continues where it stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

from etude.errors import RunFolderError, StorageError
from etude.quickstart.plan import Recipe
from etude.runs.atomic import write_json

__all__ = ["Journal", "open_journal"]

NAME = "quickstart.json"
STAGES = 5


@dataclass
class Journal:
    """The file `quickstart.json` in the quickstart's folder.

    Attributes:
        seconds: name of each finished stage to the time it took.
    """

    root: Path
    recipe: Recipe
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return len(self.seconds) == STAGES

    def finish(self, stage: str, seconds: float) -> None:
        """Write down that a stage is done."""
        self.seconds[stage] = round(seconds, 1)
        write_json(self.root / NAME, {"recipe": asdict(self.recipe), "seconds": self.seconds})


def open_journal(recipe: Recipe, wanted: Path | None, default: Path) -> Journal:
    """The journal to go on with, or a new one in an empty folder.

    Args:
        wanted: the folder asked for; it may hold an earlier quickstart of the same recipe.
        default: used without `wanted`; the first of `default`, `default-2`, … that is new, or an unfinished
            quickstart of the same recipe.

    Raises:
        RunFolderError: `wanted` holds something else.
        StorageError: the folder may not be written.
    """
    if wanted is not None:
        return _read(wanted, recipe) or _new(wanted, recipe)
    for number in count(1):
        folder = default if number == 1 else default.with_name(f"{default.name}-{number}")
        if not folder.exists():
            return _new(folder, recipe)
        try:
            journal = _read(folder, recipe)
        except RunFolderError:
            continue
        if journal and not journal.is_complete:
            return journal
    raise AssertionError("unreachable: the numbers do not end")


def _read(folder: Path, recipe: Recipe) -> Journal | None:
    """The journal of the same recipe in `folder`; None where the folder is new or empty."""
    file = folder / NAME
    if not file.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunFolderError(
                f"{folder} exists and holds something else", hint="choose another folder with --output"
            )
        return None
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        found, seconds = Recipe(**written["recipe"]), dict(written["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{file} is not readable", hint="choose another folder with --output") from error
    if found != recipe:
        theirs = asdict(found)
        different = [f"{name} {theirs[name]}" for name, value in asdict(recipe).items() if theirs[name] != value]
        raise RunFolderError(
            f"{folder} holds a quickstart with {', '.join(different)}",
            hint="choose another folder with --output",
        )
    return Journal(folder, recipe, seconds)


def _new(folder: Path, recipe: Recipe) -> Journal:
    journal = Journal(folder, recipe)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / NAME, {"recipe": asdict(recipe), "seconds": {}})
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror}", hint="choose another folder with --output"
        ) from error
    return journal
