"""`etude quickstart`: record, check, train, evaluate and report, in minutes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from etude.cli.arguments import Parser
from etude.cli.pasteable import command_line
from etude.errors import SimulationError, UsageError
from etude.quickstart import (
    Journal,
    Places,
    Recipe,
    Stage,
    StageStoppedError,
    next_commands,
    open_journal,
    read_outcome,
    run_stages,
)

__all__ = ["main"]

DEFAULT_FOLDER = Path("outputs/quickstart")


def main(argv: Sequence[str]) -> int:
    """Run the stages that are not done yet, then say what came out."""
    arguments = _parser().parse_args(argv)
    chosen = {item.name: getattr(arguments, item.name) for item in fields(Recipe)}
    recipe = Recipe(**chosen)
    _refuse_impossible(recipe)
    recipe = _without_pictures_where_none_can_be_drawn(recipe)
    journal = open_journal(recipe, arguments.output, DEFAULT_FOLDER)
    if journal.seconds:
        print(f"Continuing {journal.root}: {', '.join(journal.seconds)} done already.")
    try:
        run_stages(journal, _call, _announce)
    except StageStoppedError as stopped:
        stopped.hint = f"to continue: {command_line(('quickstart', *_again(argv, journal)))}"
        raise
    except KeyboardInterrupt:
        print(f"\nTo continue: {command_line(('quickstart', *_again(argv, journal)))}", file=sys.stderr)
        raise
    print(_conclusion(journal))
    return 0


def _parser() -> Parser:
    defaults = Recipe()
    parser = Parser(
        prog="etude quickstart",
        description="Record demonstrations of a simulated robot arm, check them, train a policy on them,\n"
        "try it out from starts it has not seen, and write a report. Minutes on two cores, no GPU needed.\n"
        "An interrupted quickstart continues where it stopped.",
        examples=[
            "etude quickstart",
            "etude quickstart --task=button-press-topdown-v3 --output=outputs/button",
        ],
    )
    add = parser.add_argument
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"folder for everything ({DEFAULT_FOLDER}, or …-2)",
    )
    add("--task", default=defaults.task, help=f"a Meta-World task ({defaults.task})")
    add(
        "--demonstrations",
        type=int,
        default=defaults.demonstrations,
        metavar="N",
        help="episodes to record (40)",
    )
    add("--steps", type=int, default=defaults.steps, metavar="N", help="training steps (1000)")
    add("--episodes", type=int, default=defaults.episodes, metavar="N", help="rollouts of the policy (50)")
    add("--videos", type=int, default=defaults.videos, metavar="N", help="rollouts to film (3)")
    add("--seed", type=int, default=defaults.seed, help="of recording, training and rollouts (0)")
    return parser


def _refuse_impossible(recipe: Recipe) -> None:
    least = {
        "demonstrations": 2,
        "steps": 1,
        "episodes": 1,
        "seed": 0,
        "videos": 0,
    }  # one demonstration is held out
    for name, smallest in least.items():
        if getattr(recipe, name) < smallest:
            raise UsageError(f"--{name}={getattr(recipe, name)}: allowed is {smallest} and more")


def _without_pictures_where_none_can_be_drawn(recipe: Recipe) -> Recipe:
    """The recipe, or the same without videos: simulating, training and judging need no graphics library."""
    from etude.simulation.rendering import choose_backend

    try:
        choose_backend()
    except SimulationError as error:
        print(f"note: no videos, because {error.message}\n  {error.hint}")
        os.environ["MUJOCO_GL"] = "disable"
        return replace(recipe, videos=0)
    return recipe


def _call(command: Sequence[str]) -> int:
    from etude.cli import main as etude

    return etude(command)


def _announce(number: int, count: int, stage: Stage, seconds: float | None) -> None:
    if seconds is None:
        print(f"\n{_bold(f'{number}/{count}  {stage.title}')}\n$ {command_line(stage.command)}", flush=True)
    else:
        print(f"done in {_minutes(seconds)}", flush=True)


def _conclusion(journal: Journal) -> str:
    places = Places(journal.root)
    outcome = read_outcome(places)
    rate, took = outcome.success_rate, sum(journal.seconds.values())
    places_named = {
        "report": places.report,
        "videos": outcome.evaluation if outcome.videos else None,
        "policy": places.run / "checkpoints" / "last" / "pretrained_model",
        "demonstrations": places.dataset,
    }
    lines = [
        "",
        _bold(f"Success rate {rate.value:.0%} ({outcome.successes} of {outcome.episodes} unseen starts)"),
        f"95 % interval {rate.low:.0%} to {rate.high:.0%}; everything took {_minutes(took)}.",
        "",
        *(f"  {name:<16}{path}" for name, path in places_named.items() if path),
        "",
        "Three commands to try next:",
    ]
    for sentence, command in next_commands(journal.recipe, places):
        lines += [f"  # {sentence}", f"  {command_line(command)}"]
    return "\n".join(lines)


def _again(argv: Sequence[str], journal: Journal) -> list[str]:
    """The arguments that continue this quickstart, wherever its folder was chosen from."""
    named = any(word.split("=")[0] == "--output" for word in argv)
    return [*argv, *([] if named else [f"--output={journal.root}"])]


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text
