"""`etude data record`: demonstrations by a scripted expert, as a LeRobot dataset."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.arguments import Parser
from etude.cli.pasteable import command_line
from etude.errors import UsageError, nearest

if TYPE_CHECKING:
    from etude.data.recording import EpisodeFrames, RecordedDataset, RecordingPlan
    from etude.simulation import EnvironmentSpec

__all__ = ["main"]

EXAMPLES = (
    "etude data record --env.type=metaworld --env.task=drawer-open-v3 --episodes 40 --root data/drawer",
    "etude data record --env.task=reach-v3 --root data/reach --camera corner2 --width 128",
)


def main(argv: Sequence[str]) -> int:
    """Record demonstrations and say what to do with them."""
    arguments = _parser().parse_args(argv)
    _check_numbers(arguments)
    from etude.data.recording import write_dataset
    from etude.simulation.experts import check_expert

    spec = check_expert(_specify(arguments))
    root = Path(arguments.root)
    repo_id = arguments.repo_id or f"local/{root.name}"
    plan = _plan(spec, arguments, argv)
    started = time.monotonic()
    with _Progress(arguments.episodes, quiet=arguments.json) as progress:
        recorded = write_dataset(root, repo_id, plan, _episodes(spec, arguments), progress.update)
    seconds = time.monotonic() - started
    print(_as_json(recorded, seconds) if arguments.json else _summary(recorded, seconds))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="etude data record",
        description="Record a benchmark's own scripted expert as a LeRobot v3.0 dataset. Only successes are\n"
        "kept; their initial states are seeded, and never those of an evaluation.",
        examples=EXAMPLES,
    )
    add = parser.add_argument
    add(
        "--env.type",
        dest="type",
        default="metaworld",
        metavar="NAME",
        help="environment (default: metaworld)",
    )
    add("--env.task", dest="task", metavar="NAME", help="task, for example drawer-open-v3")
    add("--episodes", type=int, default=40, metavar="N", help="successful episodes to record (default: 40)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the initial states (default: 0)")
    add("--root", "--dataset.root", dest="root", required=True, metavar="DIR", help="new folder to write")
    add(
        "--repo-id",
        "--dataset.repo_id",
        dest="repo_id",
        metavar="ID",
        help="name in the dataset (default: local/DIR)",
    )
    add(
        "--camera",
        action="append",
        default=[],
        metavar="NAME",
        help="record this camera too; may be repeated",
    )
    add("--no-camera", action="store_true", help="record states only (the default)")
    add("--width", type=int, default=128, metavar="PIXELS", help="camera width (default: 128)")
    add("--height", type=int, metavar="PIXELS", help="camera height (default: as the width)")
    add("--no-shadows", action="store_true", help="draw without shadows: several times as fast without a GPU")
    add(
        "--processes",
        type=int,
        metavar="N",
        help="parallel simulations (default: 1, with cameras one a core)",
    )
    add("--json", action="store_true", help="print the result as JSON")
    return parser


def _check_numbers(arguments: Any) -> None:
    if arguments.no_camera and arguments.camera:
        raise UsageError("--camera and --no-camera exclude each other")
    if arguments.episodes < 1:
        raise UsageError(f"--episodes {arguments.episodes}: at least 1 is needed")
    for name in ("width", "height"):
        size = getattr(arguments, name)
        if size is not None and (size < 16 or size > 2048 or size % 2):
            raise UsageError(f"--{name} {size}: allowed are even numbers from 16 to 2048")


def _specify(arguments: Any) -> EnvironmentSpec:
    from etude.simulation import EnvironmentSpec
    from etude.simulation.metaworld import CAMERAS, DEFAULT_CAMERA, FULL_STATE, IMAGE, IMAGES, STATE

    if arguments.type != "metaworld":  # refused with the reason by check_expert
        return EnvironmentSpec(arguments.type, arguments.task)
    observations: dict[str, tuple[int, ...]] = {STATE: (4,), FULL_STATE: (39,)}
    shape = (3, arguments.height or arguments.width, arguments.width)
    for camera in arguments.camera:
        if camera not in CAMERAS:
            close = nearest(camera, CAMERAS)
            hint = f"did you mean {' or '.join(close)}?" if close else f"cameras: {', '.join(CAMERAS)}"
            raise UsageError(f"metaworld has no camera {camera!r}", hint=hint)
        # Alone, the usual camera has the name that LeRobot's Meta-World gives it.
        alone = arguments.camera == [DEFAULT_CAMERA]
        observations[IMAGE if alone else f"{IMAGES}{camera}"] = shape
    return EnvironmentSpec("metaworld", arguments.task, observations, shadows=not arguments.no_shadows)


def _plan(spec: EnvironmentSpec, arguments: Any, argv: Sequence[str]) -> RecordingPlan:
    from etude.data.recording import RecordingPlan
    from etude.simulation.catalog import describe

    info = describe(spec)
    observed = spec.observations or {}
    return RecordingPlan(
        fps=info.fps,
        task=info.description,
        robot="sawyer",
        vectors={
            **{name: info.state_names[name] for name in observed if name in info.state_names},
            "action": info.action_names,
        },
        cameras={name: (shape[1], shape[2]) for name, shape in observed.items() if len(shape) == 3},
        origin={
            "environment": spec.describe(),
            "expert": "scripted",
            "seed": arguments.seed,
            "command": ["etude", "data", "record", *argv],
        },
    )


def _episodes(spec: EnvironmentSpec, arguments: Any) -> Iterator[EpisodeFrames]:
    import os

    from etude.data.recording import EpisodeFrames
    from etude.simulation.experts import demonstrate

    processes = arguments.processes or (min(8, os.cpu_count() or 1) if arguments.camera else 1)
    for episode in demonstrate(spec, arguments.episodes, arguments.seed, processes):
        yield EpisodeFrames(episode.frames(), episode.seed)


def _summary(recorded: RecordedDataset, seconds: float) -> str:
    root = recorded.root
    train = ["train", f"--dataset.repo_id={recorded.repo_id}", f"--dataset.root={root}", "--policy.type=act"]
    return "\n".join(
        [
            f"recorded {recorded.episodes} episodes, {recorded.frames} frames in {seconds:.1f} s: {root}",
            "next:",
            f"  {command_line(['data', 'check', str(root)])}",
            f"  {command_line(train)}",
        ]
    )


def _as_json(recorded: RecordedDataset, seconds: float) -> str:
    return json.dumps(
        {
            "root": str(recorded.root),
            "repo_id": recorded.repo_id,
            "episodes": recorded.episodes,
            "frames": recorded.frames,
            "seeds": list(recorded.seeds),
            "seconds": round(seconds, 2),
        }
    )


class _Progress:
    """A bar on a terminal, else a line now and then."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total, self._quiet = total, quiet
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> _Progress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True).__enter__()
            self._task = self._bar.add_task("recording", total=self._total)
        return self

    def update(self, episodes: int, frames: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=episodes)
        elif not self._quiet and (episodes % 10 == 0 or episodes == self._total):
            print(f"recorded {episodes} of {self._total} episodes, {frames} frames", file=sys.stderr)

    def __exit__(self, *reason: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(*reason)
