"""Running the stages one after the other."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence

from etude.errors import EtudeError
from etude.quickstart.journal import Journal
from etude.quickstart.plan import Places, Stage, plan

__all__ = ["StageStoppedError", "run_stages"]


class StageStoppedError(EtudeError):
    """A stage ended without its product; what it said about that has been printed."""

    def __init__(self, stage: Stage, code: int) -> None:
        super().__init__(f"stopped in the stage `{stage.name}`")
        self.exit_code = code or 1


def run_stages(
    journal: Journal,
    call: Callable[[Sequence[str]], int],
    announce: Callable[[int, int, Stage, float | None], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run what is not done yet.

    Args:
        call: runs the words after `etude` and returns the exit code.
        announce: told before each stage `(number, of, stage, None)`, and after it the seconds it took.

    Raises:
        StageStoppedError: a stage failed or was stopped. Running again continues with it.
    """
    places = Places(journal.root)
    names = [stage.name for stage in plan(journal.recipe, places)]
    for index, name in enumerate(names):
        if name in journal.seconds:
            continue
        _clear_leftovers(name, places)
        # Planned anew: whether a training starts or continues depends on what lies there now.
        stage = plan(journal.recipe, places)[index]
        announce(index + 1, len(names), stage, None)
        start = clock()
        code = call(stage.command)
        if code != 0 or not stage.is_done():
            raise StageStoppedError(stage, code)
        journal.finish(name, clock() - start)
        announce(index + 1, len(names), stage, journal.seconds[name])


def _clear_leftovers(stage: str, places: Places) -> None:
    """Remove what an interrupted stage left and cannot go on with. The folder is the quickstart's own."""
    if stage == "record":
        shutil.rmtree(places.dataset, ignore_errors=True)
    if stage == "train" and not (places.run / "checkpoints" / "last").exists():
        shutil.rmtree(places.run, ignore_errors=True)
