"""`etude evaluate --dataset.root=DIR`: replay recorded episodes through a policy."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.arguments import Parser
from etude.cli.evaluate_places import result_folder, run_of
from etude.cli.evaluate_rollout import record_evaluation
from etude.cli.pasteable import command_line, seen_from_here
from etude.errors import UsageError
from etude.runs.folder import RunFolder

if TYPE_CHECKING:
    from etude.runs.results import ReplayResult

__all__ = ["main"]

MOST_EPISODES = 10


def main(argv: Sequence[str]) -> int:
    """Replay recorded episodes, print the errors and write the result."""
    arguments = _parser().parse_args(argv)
    from etude.data.checks import assert_sound, check_dataset
    from etude.data.sources import ensure_v30, locate
    from etude.evaluation.replay import ReplaySettings, replay
    from etude.evaluation.replay.recordings import Recording
    from etude.policies import load_policy

    location = ensure_v30(locate(arguments.repo_id, arguments.root, arguments.revision))
    run = run_of(arguments.policy)
    recording = Recording(location.repo_id, location.root)
    episodes, note = _choose_episodes(arguments.episodes, run, recording)
    assert_sound(check_dataset(location.root, "fast", episodes))
    with contextlib.redirect_stdout(sys.stderr):  # LeRobot prints while it loads; stdout is for the result
        loaded = load_policy(arguments.policy, arguments.device, arguments.checkpoint, rename_map=arguments.rename_map)
    folder = result_folder(arguments.output_dir, run, "replay" if loaded.step is None else f"replay-{loaded.step:06d}")
    if note and not arguments.json:
        print(note)
    with _Progress(quiet=arguments.json) as progress:
        result = replay(
            loaded,
            recording,
            episodes,
            folder,
            ReplaySettings(
                batch_size=arguments.batch_size,
                every=arguments.every,
                seed=arguments.seed,
                command=["etude", "evaluate", *argv],
            ),
            progress.update,
        )
    written_in = run_of(str(folder))
    if written_in is not None:
        record_evaluation(written_in, result, folder)
    print(_as_json(result, folder) if arguments.json else _summary(result, folder, run))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="etude evaluate",
        description="Show recorded episodes to a policy and compare its actions with the recorded ones.",
        examples=[
            "etude evaluate --policy.path=outputs/train/NAME --dataset.root=DIR",
            "etude evaluate --policy.path=RUN --dataset.repo_id=lerobot/pusht --dataset.episodes=[0,1]",
        ],
    )
    add = parser.add_argument
    add(
        "--policy.path",
        "-p",
        dest="policy",
        required=True,
        metavar="PATH",
        help="run folder, checkpoint or Hub id",
    )
    add("--dataset.root", dest="root", metavar="DIR", help="folder that holds the dataset")
    add("--dataset.repo_id", dest="repo_id", metavar="ID", help="dataset on the Hugging Face Hub")
    add("--dataset.revision", dest="revision", metavar="REV", help="revision of the dataset on the Hub")
    add(
        "--dataset.episodes",
        dest="episodes",
        type=_episode_list,
        metavar="[0,1]",
        help=f"episodes (default: the run's held-out ones, else the first {MOST_EPISODES})",
    )
    add(
        "--checkpoint",
        default="last",
        metavar="best|last|STEP",
        help="which checkpoint of a run (default: last)",
    )
    add("--output_dir", type=Path, metavar="DIR", help="result folder (default: evaluations/ of the run)")
    add("--device", "--policy.device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    add("--rename_map", type=_rename_map, default={}, metavar="JSON", help="dataset's names to the policy's")
    add("--batch_size", type=_positive, default=32, help="frames predicted at once (default: 32)")
    add("--every", type=_positive, default=1, metavar="N", help="predict at every N-th frame (default: 1)")
    add("--seed", type=int, default=0, help="seed of policies that sample (default: 0)")
    add("--json", action="store_true", help="print the result as JSON")
    return parser


def _episode_list(text: str) -> list[int]:
    parts = [part for part in text.strip("[]() ").replace(" ", "").split(",") if part]
    if not parts or not all(part.isdigit() for part in parts):
        raise UsageError(f"--dataset.episodes={text} is not a list of episode numbers", hint="--dataset.episodes=[0,1]")
    return sorted({int(part) for part in parts})


def _rename_map(text: str) -> dict[str, str]:
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UsageError(
            f"--rename_map={text} does not map names to names",
            hint='for example --rename_map=\'{"observation.image": "observation.images.top"}\'',
        )
    return names


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"{text!r} is not a positive whole number", hint="etude evaluate --help")
    return int(text)


def _choose_episodes(given: list[int] | None, run: RunFolder | None, recording: Any) -> tuple[list[int], str]:
    if given is not None:
        return given, ""
    held_out = _held_out(run, recording)
    chosen = held_out or recording.all_episodes
    of = "held-out validation episode" if held_out else "episode"
    of += "s" * (len(chosen) != 1)
    if len(chosen) > MOST_EPISODES:
        return chosen[:MOST_EPISODES], (
            f"note: replaying the first {MOST_EPISODES} of {len(chosen)} {of}; choose with --dataset.episodes"
        )
    return chosen, f"note: replaying {len(chosen)} {of}"


def _held_out(run: RunFolder | None, recording: Any) -> list[int]:
    """The run's validation episodes, where this is the dataset that it was trained on."""
    if run is None:
        return []
    trained_on = run.manifest().dataset
    held_out = [int(number) for number in trained_on.get("val_episodes") or []]
    if not held_out or not _same_dataset(trained_on, recording):
        return []
    return held_out


def _same_dataset(trained_on: dict[str, Any], recording: Any) -> bool:
    root = Path(recording.meta.root)
    fingerprint = trained_on.get("fingerprint")
    if fingerprint:
        from etude.data.sources import is_same_dataset

        return is_same_dataset(root, str(fingerprint))
    recorded_root = trained_on.get("root")
    return bool(recorded_root) and Path(str(recorded_root)).resolve() == root.resolve()


def _as_json(result: ReplayResult, folder: Path) -> str:
    import dataclasses

    return json.dumps({**dataclasses.asdict(result), "folder": str(folder)}, indent=2)


def _summary(result: ReplayResult, folder: Path, run: RunFolder | None) -> str:
    latency = result.latency_ms
    width = max(len("joint"), *(len(joint.name) for joint in result.joints))
    episodes = len(result.dataset["episodes"])
    lines = [
        f"{episodes} episode{'s' * (episodes != 1)}, {result.dataset['frames']} frames, predicted against recorded:",
        f"  {'joint':<{width}}  {'MAE':>10}  {'MSE':>10}",
        *(f"  {joint.name:<{width}}  {joint.mae:>10.4g}  {joint.mse:>10.4g}" for joint in result.joints),
        f"  {'all':<{width}}  {result.mae:>10.4g}  {result.mse:>10.4g}",
        f"latency: p50 {latency['p50']:.3g} ms, p95 {latency['p95']:.3g} ms, max {latency['max']:.3g} ms; "
        f"{latency['within_budget']:.1%} of frames "
        f"within the control period of {latency['control_period']:.3g} ms",
        f"written: {folder}",
    ]
    if run is not None:
        lines.append(f"next: {command_line(['report', seen_from_here(run.root)])}")
    return "\n".join(lines)


class _Progress:
    """Frames done: a bar on a terminal, a line each tenth elsewhere, nothing with --json."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._tenth = quiet, 0
        self._bar: Any = None
        self._task: Any = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("replay"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> _Progress:
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task("replay")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, total: int) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)
        elif not self._quiet and done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            print(f"replay: {done}/{total} frames", file=sys.stderr)
