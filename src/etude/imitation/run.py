"""A training run from its settings to its end: folder, data, tracking, training, manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from etude.data.heap import keep_freed_memory
from etude.errors import CheckpointError, DatasetError, EtudeError, StorageError
from etude.imitation.dataset import TrainingData, find_training_data
from etude.imitation.precision import choose_precision
from etude.imitation.processes import Processes
from etude.imitation.publishing import push_to_hub
from etude.imitation.session import Session, open_session, training_frames
from etude.imitation.settings import TrainSettings, encode
from etude.imitation.trainer import Outcome, Rollout, Trainer
from etude.runs.checkpoints import Checkpoint
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord, truncate_after
from etude.secrets import redact_tree
from etude.tracking import NullTracker, Tracker, TrackingSettings, open_tracking

__all__ = ["Display", "Result", "train"]

logger = logging.getLogger(__name__)

RolloutFactory = Callable[[Any, RunFolder], Rollout]


class Display(Protocol):
    """Where the main process shows what happens; nothing else in this room prints."""

    def started(self, total_steps: int, start_step: int) -> None: ...
    def step(self, step: int) -> None: ...
    def log(self, record: MetricRecord) -> None: ...
    def note(self, line: str) -> None: ...
    def preparing(self, what: str, done: int, total: int) -> None: ...
    def finished(self) -> None: ...


class NoDisplay:
    """Shows nothing: what every process but the main one has."""

    def started(self, total_steps: int, start_step: int) -> None:
        """Nothing."""

    def step(self, step: int) -> None:
        """Nothing."""

    def log(self, record: MetricRecord) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Result:
    """What a run left behind.

    Attributes:
        is_main: whether this process speaks for all of them.
    """

    run: RunFolder
    outcome: Outcome
    manifest: RunManifest
    is_main: bool = True


def train(
    settings: TrainSettings,
    *,
    command: list[str],
    display: Display,
    resume: bool = False,
    resume_step: int | None = None,
    make_rollout: RolloutFactory | None = None,
) -> Result:
    """Train, or continue a run.

    Args:
        command: the command line, for the manifest.
        resume: continue the run in the output folder.
        resume_step: continue from this checkpoint instead of the newest.
        make_rollout: makes what rolls the policy out during training, where `--env.type` asks for it.

    Raises:
        EtudeError: anything a user can act on.
    """
    config, options = settings.lerobot, settings.options
    processes = Processes(config.policy.device, choose_precision(options.precision, config.policy))
    if processes.device.type == "cpu":
        keep_freed_memory()
    try:
        config.output_dir = Path(processes.gather(str(config.output_dir))[0])
        run, manifest, checkpoint, notes = _open_run(settings, processes, command, resume, resume_step)
        shown = display if processes.is_main else NoDisplay()
        with _Ending(run, manifest, processes) as ending:
            data = _find_data(settings, processes, manifest)
            settings = settings.finish(
                training_frames(config, options, data.meta),
                action_dim=data.meta.features["action"]["shape"][-1],
                num_processes=processes.world,
            )
            config = settings.lerobot
            session = open_session(
                config, options, data.meta, processes, checkpoint, shown.preparing,
                fingerprint=data.fingerprint, tell=shown.note, stream=data.stream,
            )  # fmt: skip
            _describe(manifest, settings, data, session)
            for note in [*settings.notes, *notes, *data.notes, *session.notes]:
                shown.note(note)
            rollout = make_rollout(config, run) if make_rollout and config.env is not None else None
            if resume:
                _forget_after(checkpoint, session, run, manifest)
            tracker = _open_tracker(run, manifest, settings, processes)
            ending.began(tracker)
            shown.started(config.steps, session.state.step)
            outcome = Trainer(session, run, _Everyone(shown, tracker), rollout).run()
            manifest.machine["acceleration"] = session.state.acceleration
            shown.finished()
            ending.outcome = outcome
        if processes.is_main and outcome.status != "stopped" and (name := push_to_hub(session, run)):
            display.note(f"uploaded to {name}")
        return Result(run, outcome, manifest, processes.is_main)
    finally:
        processes.close()


def _open_run(
    settings: TrainSettings, processes: Processes, command: list[str], resume: bool, step: int | None
) -> tuple[RunFolder, RunManifest, Checkpoint | None, list[str]]:
    """The run folder with its manifest in it, and the checkpoint to continue from."""
    run = RunFolder(Path(settings.lerobot.output_dir))
    failure: EtudeError | None = None
    if processes.is_main:
        try:
            if not resume:
                run = RunFolder.create(run.root)
            if not run.manifest_path.exists():  # a new run, or one of LeRobot's own trainer
                _save_first(_new_manifest(settings, command), run)
        except EtudeError as error:
            failure = error
    failure = processes.gather(failure)[0]
    if failure is not None:
        raise failure
    manifest = run.manifest()
    if not resume:
        return run, manifest, None, []
    manifest.config = redact_tree(encode(settings))
    checkpoint, notes = _newest(run, step)
    return run, manifest, checkpoint, notes


def _forget_after(checkpoint: Checkpoint | None, session: Session, run: RunFolder, manifest: RunManifest) -> None:
    """Drop the points, and set aside the checkpoints, that the continued run will make again."""
    if session.processes.is_main:
        step = checkpoint.step if checkpoint else 0
        truncate_after(run.metrics_path, step if checkpoint else -1)
        run.checkpoints.set_aside_after(step)
        best = run.checkpoints.named(str(session.state.best.get("step", "")))
        if best is not None:
            run.checkpoints.mark_best(best)
        manifest.lineage.setdefault("resumed_at", []).append(step)
    session.processes.wait()


def _save_first(manifest: RunManifest, run: RunFolder) -> None:
    try:
        manifest.save(run.manifest_path)
    except OSError as error:
        run.discard()
        raise StorageError(
            f"cannot write {run.manifest_path}: {error.strerror}",
            hint="free some space, or choose another folder with --output_dir",
        ) from error


def _new_manifest(settings: TrainSettings, command: list[str]) -> RunManifest:
    config = settings.lerobot
    manifest = RunManifest("imitation", str(config.job_name), redact_tree(command), redact_tree(encode(settings)))
    manifest.steps = {"planned": config.steps, "done": 0}
    if config.policy.pretrained_path is not None:
        manifest.lineage["policy"] = str(config.policy.pretrained_path)
    return manifest


def _newest(run: RunFolder, step: int | None) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint to continue from; None when the run was stopped before its first."""
    store = run.checkpoints
    if step is not None:
        found = store.named(str(step))
        if found is None:
            steps = ", ".join(str(item.step) for item in store.all())
            raise CheckpointError(f"{run.root} has no checkpoint {step}", hint=f"it has: {steps or 'none'}")
        found.verify()
        return found, [f"resuming {run.root} at step {found.step}"]
    if not store.all():
        return None, [f"{run.root} was stopped before its first checkpoint: starting at step 0"]
    checkpoint, problems = store.latest_intact()
    return checkpoint, [*problems, f"resuming {run.root} at step {checkpoint.step}"]


def _find_data(settings: TrainSettings, processes: Processes, manifest: RunManifest) -> TrainingData:
    """Main first, so that a download happens once."""
    data, failure = None, None
    if processes.is_main:
        try:
            data = find_training_data(settings.lerobot, settings.options.data_check)
            _insist_on_same_data(manifest, data)
        except EtudeError as error:
            failure = error
    failure = processes.gather(failure)[0]
    if failure is not None:
        raise failure
    return data or find_training_data(settings.lerobot, "off")


def _insist_on_same_data(manifest: RunManifest, data: TrainingData) -> None:
    recorded = manifest.dataset.get("fingerprint")
    if recorded is not None and not data.is_same(recorded):
        raise DatasetError(
            f"the dataset {data.root} is not the one this run began with (it was changed since)",
            hint="put it back, or fine-tune on the new data: etude train --policy.path=RUN "
            "--checkpoint-mode from-trained --dataset.root=DIR",
        )


def _describe(manifest: RunManifest, settings: TrainSettings, data: TrainingData, session: Session) -> None:
    meta, config = data.meta, settings.lerobot
    split = session.demonstrations.split
    manifest.dataset = {
        "repo_id": data.repo_id,
        "root": str(data.root.resolve()),
        "fingerprint": data.fingerprint,
        "episodes": meta.total_episodes,
        "frames": meta.total_frames,
        "fps": meta.fps,
        "robot_type": meta.robot_type,
        "cameras": list(meta.camera_keys),
        "tasks": [str(name) for name in meta.tasks.index],
        "train_episodes": split.train,
        "val_episodes": split.val,
    }
    policy: Any = session.learner.policy
    manifest.policy = {
        "type": config.policy.type,
        "parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "trainable": sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad),
        "inputs": {name: list(feature.shape) for name, feature in policy.config.input_features.items()},
        "outputs": {name: list(feature.shape) for name, feature in policy.config.output_features.items()},
    }
    manifest.machine |= {"device": str(session.processes.device), "processes": session.processes.world}
    manifest.config = redact_tree(encode(settings))
    manifest.steps = {"planned": config.steps, "done": session.state.step}
    manifest.status = "running"


def _open_tracker(run: RunFolder, manifest: RunManifest, settings: TrainSettings, processes: Processes) -> Tracker:
    if not processes.is_main:
        return NullTracker()
    tracking = TrackingSettings.build(settings.options, settings.lerobot.wandb)
    return open_tracking(run, tracking, manifest, manifest.config)


class _Everyone:
    """Tells the display and the tracker."""

    def __init__(self, display: Display, tracker: Tracker) -> None:
        self._display = display
        self._tracker = tracker

    def log(self, record: MetricRecord) -> None:
        self._tracker.log(record)
        self._display.log(record)

    def step(self, step: int) -> None:
        self._tracker.at_step(step)
        self._display.step(step)

    def note(self, line: str) -> None:
        self._display.note(line)

    def saved(self, checkpoint: Checkpoint, best: bool) -> None:
        self._display.note(f"checkpoint {checkpoint.path}" + (" (best so far)" if best else ""))


class _Ending:
    """Writes down how the run ended, whatever happened; one that was refused before it began changes nothing."""

    def __init__(self, run: RunFolder, manifest: RunManifest, processes: Processes) -> None:
        self._run = run
        self._manifest = manifest
        self._processes = processes
        self._entered_s = time.monotonic()
        self._has_begun = False
        self.tracker: Tracker = NullTracker()
        self.outcome: Outcome | None = None

    def __enter__(self) -> _Ending:
        return self

    def began(self, tracker: Tracker) -> None:
        """From here on there is something to keep."""
        self.tracker = tracker
        self._has_begun = True

    def __exit__(self, *_: object) -> None:
        if not self._has_begun:
            self._run.discard()
            return
        outcome, manifest = self.outcome, self._manifest
        ended_well = {"finished": "finished", "early": "finished", "stopped": "stopped"}
        status = ended_well[outcome.status] if outcome is not None else "failed"
        if status == "finished":
            self._publish()
        self.tracker.close(status)  # type: ignore[arg-type]
        if not self._processes.is_main:
            return
        manifest.status = status
        if outcome is not None:
            manifest.steps["done"] = outcome.step
            manifest.summary["stopped_early"] = outcome.status == "early"
        manifest.summary["wall_s"] = round(manifest.summary.get("wall_s", 0.0) + time.monotonic() - self._entered_s, 1)
        try:
            manifest.save(self._run.manifest_path)
        except OSError as error:  # a full disk must not hide the error that ended the run
            logger.warning("cannot write %s: %s", self._run.manifest_path, error.strerror)

    def _publish(self) -> None:
        """Hand the tracker the policy that is worth keeping: the best, else the last."""
        store = self._run.checkpoints
        for name in ("best", "last"):
            checkpoint = store.named(name)
            if checkpoint is not None:
                self.tracker.artifact(checkpoint.pretrained_model, f"checkpoints/{name}")
                return
