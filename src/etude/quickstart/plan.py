"""What the quickstart does: five command lines, and three to go on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from etude.runs.folder import RunFolder

__all__ = ["Places", "Recipe", "Stage", "next_commands", "plan"]

# A small ACT on the positions of hand and object learns in a minute on two cores; from images it takes hours.
POLICY = (
    "--policy.type=act",
    "--policy.dim_model=64",
    "--policy.n_heads=4",
    "--policy.dim_feedforward=256",
    "--policy.n_encoder_layers=2",
    "--policy.n_decoder_layers=1",
    "--policy.chunk_size=16",
    "--policy.n_action_steps=8",
    "--policy.use_vae=false",
    "--policy.optimizer_lr=1e-3",
    # LeRobot's ACT leaves the environment's state as it is; scaled like the rest it learns in half the steps.
    '--policy.normalization_mapping={"STATE": "MEAN_STD", "ENV": "MEAN_STD", "ACTION": "MEAN_STD"}',
)
BATCH_SIZE = 64
WELL_LEARNED = ("drawer-open-v3", "button-press-topdown-v3")  # by this policy, in the default number of steps


@dataclass(frozen=True)
class Recipe:
    """What may be chosen. The defaults succeed in all of 50 unseen episodes, for several seeds.

    Attributes:
        task: a Meta-World task; the benchmark has a scripted expert for each.
        demonstrations: successful episodes to record.
        steps: optimizer updates.
        episodes: rollouts of the trained policy, on seeds that no demonstration had.
        seed: of recording, training and rollouts.
        videos: rollouts to film; 0 where the machine cannot draw. Another number is not another quickstart.
    """

    task: str = "drawer-open-v3"
    demonstrations: int = 40
    steps: int = 1000
    episodes: int = 50
    seed: int = 0
    videos: int = field(default=3, compare=False)


@dataclass(frozen=True)
class Places:
    """Where everything of one quickstart lies."""

    root: Path

    @property
    def dataset(self) -> Path:
        return self.root / "demonstrations"

    @property
    def run(self) -> Path:
        return self.root / "train"

    @property
    def report(self) -> Path:
        return self.run / "report.html"


@dataclass(frozen=True)
class Stage:
    """One step of the way.

    Attributes:
        title: what it does, as a heading.
        command: the words after `etude`.
        is_done: whether its product is complete. The exit code does not tell: a stopped training exits well.
    """

    name: str
    title: str
    command: tuple[str, ...]
    is_done: Callable[[], bool]


def plan(recipe: Recipe, places: Places) -> list[Stage]:
    """The stages in order, as they stand: a training that was stopped is continued."""
    environment = ("--env.type=metaworld", f"--env.task={recipe.task}")
    return [
        Stage(
            "record",
            f"Record {recipe.demonstrations} demonstrations of {recipe.task} with its scripted expert",
            (
                *("data", "record", *environment),
                f"--episodes={recipe.demonstrations}",
                f"--seed={recipe.seed}",
                f"--root={places.dataset}",
            ),
            (places.dataset / "meta" / "info.json").is_file,
        ),
        Stage("check", "Check the dataset", ("data", "check", str(places.dataset)), lambda: True),
        Stage(
            "train",
            f"Train a small ACT policy on them, {recipe.steps} steps",
            _train(recipe, places),
            lambda: _steps_trained(places) >= recipe.steps,
        ),
        Stage(
            "evaluate",
            f"Roll the policy out {recipe.episodes} times, from starts it has not seen",
            (
                *("evaluate", f"--policy.path={places.run}", *environment),
                *(f"--episodes={recipe.episodes}", f"--seed={recipe.seed}", f"--videos={recipe.videos}"),
            ),
            lambda: bool(list((places.run / "evaluations").glob("*/result.json"))),
        ),
        Stage("report", "Write the report", ("report", str(places.run)), places.report.is_file),
    ]


def _train(recipe: Recipe, places: Places) -> tuple[str, ...]:
    if _steps_trained(places):
        return ("train", "--resume", str(places.run))
    return (
        *("train", f"--dataset.root={places.dataset}", "--dataset.repo_id=local/demonstrations", *POLICY),
        *(
            f"--batch_size={BATCH_SIZE}",
            f"--steps={recipe.steps}",
            f"--save_freq={max(1, recipe.steps // 4)}",
        ),
        *(f"--seed={recipe.seed}", f"--job_name={recipe.task}", f"--output_dir={places.run}"),
    )


def _steps_trained(places: Places) -> int:
    last = RunFolder(places.run).checkpoints.named("last")
    return last.step if last else 0


def next_commands(recipe: Recipe, places: Places) -> list[tuple[str, tuple[str, ...]]]:
    """What to try next: a sentence, and the words after `etude`."""
    others = [task for task in WELL_LEARNED if task != recipe.task]
    return [
        (
            "compare the policy's actions with the demonstrated ones",
            ("evaluate", f"--policy.path={places.run}", f"--dataset.root={places.dataset}"),
        ),
        (
            "train another kind of policy on the same demonstrations",
            (
                *("train", f"--dataset.root={places.dataset}", "--dataset.repo_id=local/demonstrations"),
                *("--policy.type=diffusion", "--policy.down_dims=[64,128]", "--steps=1000"),
                f"--output_dir={places.root / 'diffusion'}",
            ),
        ),
        ("teach the arm something else", ("quickstart", f"--task={others[0]}")),
    ]
