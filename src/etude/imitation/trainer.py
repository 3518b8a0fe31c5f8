"""The training loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from etude.config.options import TrainOptions
from etude.data.batches import BatchSource
from etude.data.prefetch import Prefetcher
from etude.data.staging import Staged, Staging
from etude.errors import StorageError, TrainingError
from etude.imitation import randomness
from etude.imitation.acceleration import Acceleration, apply, insist, tune
from etude.imitation.acceleration.tuning import Verdict
from etude.imitation.health import HealthWatch, NotFiniteError
from etude.imitation.interruption import Interruption
from etude.imitation.learner import Learner, Part
from etude.imitation.meters import Point
from etude.imitation.processes import Processes
from etude.imitation.profiling import NoProfiler, Profiler, StepProfiler
from etude.imitation.refusals import STEP_FAILS_WITH, explain_step
from etude.imitation.saving import Saver
from etude.imitation.session import Session
from etude.imitation.shares import LossWeights
from etude.imitation.watch import Watch
from etude.runs.checkpoints import Checkpoint
from etude.runs.folder import RunFolder
from etude.runs.metrics import MetricRecord

__all__ = ["Listener", "Outcome", "Rollout", "Trainer"]

TUNE_AT = 10  # steps before accelerations are measured: a run shows soon that it works, and a bad one ends soon
LOOK_AHEAD = 8  # batches between telling the disk that a batch will be needed and reading it

# Rolls the policy out in simulation: (policy, preprocessor, postprocessor, step) to metrics such as
# `eval/success_rate`. Passed in, because a trainer knows nothing of evaluation.
Rollout = Callable[[Any, Any, Any, int], Mapping[str, float]]


class Listener(Protocol):
    """Hears of everything that happens in a run; only the main process has one that does anything."""

    def log(self, record: MetricRecord) -> None:
        """A point was measured."""
        ...

    def step(self, step: int) -> None:
        """An update was finished."""
        ...

    def saved(self, checkpoint: Checkpoint, best: bool) -> None:
        """A checkpoint was written."""
        ...

    def note(self, line: str) -> None:
        """Something a user should know."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: finished | stopped (on request) | early (no improvement).
        signal: the signal that asked for the stop.
    """

    status: str
    step: int
    checkpoint: Checkpoint | None
    signal: int | None = None


class Trainer:
    """Takes a session from where it stands to its last step."""

    def __init__(self, session: Session, run: RunFolder, listener: Listener, rollout: Rollout | None = None) -> None:
        self.session = session
        self.state = session.state
        self._run = run
        self._listener = listener
        self._rollout = rollout if session.config.env is not None and session.config.env_eval_freq > 0 else None
        self._watch = Watch.choose(
            session.options,
            session.state,
            validates=session.validation is not None,
            rolls_out=self._rollout is not None,
        )
        self._saver = Saver(session, run.checkpoints, listener.saved)
        self._profiler = self._make_profiler(run)
        self._health = HealthWatch(session.learner.device)
        self._point: Point | None = None
        self._staging = Staging(session.learner.device)
        if isinstance(session.source, BatchSource):
            session.source.pin = self._staging.pins
        self._stop = Interruption()

    def run(self) -> Outcome:
        """Train.

        Raises:
            TrainingError: the loss or its gradient became NaN or infinite.
            StorageError: a checkpoint could not be written.
        """
        steps = self.session.config.steps
        first = self.state.step
        with self._stop, contextlib.closing(self._saver), contextlib.ExitStack() as stack:
            self._accelerate()
            # Some accelerations are switches of the whole process.
            stack.callback(apply, Acceleration(), self.session.learner, self.session.config.batch_size)
            batches = stack.enter_context(Prefetcher(self._load, first, steps))
            status = self._finish_pending()
            for loaded, waited_s in _timed(batches) if status is None else ():
                with self._profiler.step(waited_s):
                    self._update(loaded, waited_s)
                status = self._after_update()
                if status is not None:
                    break
            self._settle()
            self._profiler.finish()
            if self.session.config.save_checkpoint and self._saver.begun_step != self.state.step:
                self._save()
            self._saver.finish()
            self.session.processes.wait()
        return Outcome(status or "finished", self.state.step, self._saver.newest, self._stop.received)

    def _make_profiler(self, run: RunFolder) -> Profiler:
        session = self.session
        if not session.options.profile or not session.processes.is_main:
            return NoProfiler()

        def about() -> dict[str, Any]:
            stored = isinstance(session.source, BatchSource) and session.source.is_stored
            return {"stored": stored, **session.state.acceleration}

        return StepProfiler(run.root / "profile", session.learner.device, self._listener.note, about)

    def _accelerate(self) -> None:
        """Begin with what the user insists on; a resumed run goes on with what it had."""
        session, state = self.session, self.state
        batch_size = session.config.batch_size
        if state.acceleration.get("device") == session.learner.device.type:
            apply(Acceleration.from_dict(state.acceleration), session.learner, batch_size)
            return
        self._keep(insist(*self._bench(), batch_size=batch_size), tuned=state.step > TUNE_AT)

    def _tune(self) -> None:
        """Choose what makes a step faster, once the first steps have shown that training works."""
        session, state = self.session, self.state
        if state.step != TUNE_AT or state.acceleration.get("tuned"):
            return
        self._settle()
        session.meters.pause()
        verdict = tune(
            *self._bench(),
            insisted=Acceleration.from_dict(state.acceleration),
            steps_left=session.config.steps - state.step,
            batch_size=session.config.batch_size,
        )
        self._keep(verdict, tuned=True)
        session.meters.unpause()

    def _bench(self) -> tuple[Learner, Callable[[], list[Part]], TrainOptions, Processes]:
        session, step = self.session, self.state.step
        return session.learner, lambda: self._receive(self._load(step), step), session.options, session.processes

    def _keep(self, verdict: Verdict, *, tuned: bool) -> None:
        device = self.session.learner.device.type
        self.state.acceleration = {"device": device, "tuned": tuned, **verdict.acceleration.to_dict()}
        for note in verdict.notes:
            self._listener.note(note)

    def _after_update(self) -> str | None:
        """Log, measure and save what is due at this step; returns why to end, if so."""
        step, config = self.state.step, self.session.config
        self._tune()
        self._tell_point()
        self._saver.poll()
        if self._due(config.log_freq):
            self._point = self.session.meters.point(step, self.session.learner.learning_rate)
            self.session.meters.clear()
            if self.session.learner.device.type != "cuda":
                self._tell_point()  # nothing to wait for
        due = [
            name
            for name, wanted in (
                ("validate", self.session.validation is not None and self._due(config.eval_steps)),
                ("rollout", self._rollout is not None and self._due(config.env_eval_freq)),
            )
            if wanted
        ]
        complete, improved = self._measure(due)
        if config.save_checkpoint and (improved or (config.save_freq > 0 and step % config.save_freq == 0)):
            self._save()
        if not complete or self.session.processes.any(self._stop.requested):
            return "stopped"
        return "early" if self._watch.exhausted else None

    def _finish_pending(self) -> str | None:
        """Measure what a stop had cut short before the run goes on."""
        if not self.state.pending:
            return "early" if self._watch.exhausted else None
        complete, _ = self._measure(self.state.pending)
        self._saver.begun_step = None  # the checkpoint that the run resumed from does not know of it
        return None if complete else "stopped"

    # -- a step -----------------------------------------------------------------------------------------------------

    def _load(self, step: int) -> list[tuple[Staged, LossWeights]]:
        """This process's shares of a global batch; runs in the background, and draws no random number."""
        session, order = self.session, self.session.order
        self._staging.enter_thread()
        loaded = []
        for index in session.parts:
            if step + LOOK_AHEAD < session.config.steps:
                session.source.will_batch(order.share(step + LOOK_AHEAD, index).rows)
            batch = session.source.batch(order.share(step, index).rows)
            loaded.append((self._staging.send(batch), session.loss_weights.weights(step, index)))
        return loaded

    def _receive(self, loaded: list[tuple[Staged, LossWeights]], step: int) -> list[Part]:
        """The shares on the device, augmented."""
        session = self.session
        parts = [Part(staged.receive(), weights) for staged, weights in loaded]
        if session.augmentation is None:
            return parts
        return [
            Part(session.augmentation(part.batch, step, index), part.weights)
            for index, part in zip(session.parts, parts, strict=True)
        ]

    def _update(self, loaded: list[tuple[Staged, LossWeights]], waited_s: float) -> None:
        session, step = self.session, self.state.step
        if session.order.starts_epoch(step):
            # LeRobot's DataLoader draws a base seed when an epoch begins. Drawing it too keeps our losses equal to its.
            torch.empty((), dtype=torch.int64).random_()
        try:
            result = session.learner.update(self._receive(loaded, step))
            self._health.add(step, result.not_finite)
        except NotFiniteError as error:
            raise self._not_finite(error) from error
        except STEP_FAILS_WITH as error:
            raise explain_step(error, session.config.policy.type, step + 1, session.config.batch_size) from error
        samples = len(session.order.rows_of(step))
        self.state.step = step + 1
        session.meters.add(result, samples=samples, waited_s=waited_s)
        self._listener.step(self.state.step)

    def _not_finite(self, error: NotFiniteError) -> TrainingError:
        session = self.session
        with contextlib.suppress(StorageError):  # what is said next matters more
            self._saver.finish()
        episodes = sorted(set(session.source.episodes(session.order.rows_of(error.step)).tolist()))
        good = self._saver.newest or self._run.checkpoints.named("last")
        where = f"the last good checkpoint is {good.path}" if good else "no checkpoint was saved before it"
        return TrainingError(
            f"the {error.what} became NaN or infinite at step {error.step + 1} "
            f"(episodes in the batch: {', '.join(map(str, episodes))}); {where}",
            hint="check those episodes (`etude data check`), lower --policy.optimizer_lr, "
            "or use --precision=no or bf16 instead of fp16",
        )

    def _settle(self) -> None:
        """Learn what the device has not told yet, before the weights are measured or kept."""
        self._tell_point()
        try:
            self._health.settle()
        except NotFiniteError as error:
            raise self._not_finite(error) from error

    def _due(self, every: int) -> bool:
        return every > 0 and (self.state.step % every == 0 or self.state.step == self.session.config.steps)

    # -- what is measured -------------------------------------------------------------------------------------------

    def _tell_point(self) -> None:
        """Log the point that was taken at an earlier step; by now it has come from the device."""
        if self._point is None:
            return
        session, (point, self._point) = self.session, (self._point, None)
        everyone = session.processes.gather(point.read())
        metrics = {name: sum(found[name] for found in everyone) / len(everyone) for name in everyone[0]}
        place = session.order.position(point.step)
        metrics |= {
            "lr": point.learning_rate,
            "epoch": place.epoch + place.sample / session.order.num_samples,
        }
        named = {f"train/{name}": value for name, value in metrics.items()}
        self._listener.log(MetricRecord(point.step, point.time_s, named))

    def _measure(self, due: list[str]) -> tuple[bool, bool]:
        """Validate and roll out. What a stop cuts short stays in `state.pending`, for the resumed run to do first.

        Returns:
            Whether all of it was done, and whether the watched metric is the best so far.
        """
        session, improved = self.session, False
        if not due:
            return True, False
        self._settle()
        session.meters.pause()
        self.state.pending = list(due)
        for name in due:
            metrics = self._validate() if name == "validate" else self._roll_out()
            if metrics is None:
                return False, improved
            self.state.pending.remove(name)
            self._log(metrics)
            improved = self._watch.improved(metrics, self.state.step) or improved
        session.meters.unpause()
        return True, improved

    def _validate(self) -> dict[str, float] | None:
        assert self.session.validation is not None
        found = self.session.validation.measure(self.session.learner, self._interrupted)
        if any(self.session.processes.gather(found is None)) or found is None:
            return None
        return {f"val/{name}": value for name, value in found.items()}

    def _interrupted(self) -> bool:
        # One process alone must not leave a measurement that all processes take part in.
        return self._stop.requested and self.session.processes.world == 1

    def _roll_out(self) -> dict[str, float] | None:
        assert self._rollout is not None
        session, found = self.session, {}
        if session.processes.is_main:
            with session.learner.average.applied(), randomness.isolated(session.config.seed or 0):
                session.learner.policy.eval()
                found = dict(self._rollout(session.learner.policy, *session.processors, self.state.step))
        shared = session.processes.gather(found)[0]
        return dict(shared) if shared else {}

    def _log(self, metrics: dict[str, float]) -> None:
        self._listener.log(MetricRecord(self.state.step, time.time(), metrics))

    # -- what is kept -----------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Keep this step: copied here, written beside the training."""
        self._settle()
        self.session.meters.pause()
        self._saver.begin()
        self.session.meters.unpause()


def _timed[T](batches: Prefetcher[T]) -> Iterator[tuple[T, float]]:
    """Each batch with the seconds that were spent waiting for it."""
    iterator = iter(batches)
    while True:
        before = time.perf_counter()
        try:
            batch = next(iterator)
        except StopIteration:
            return
        yield batch, time.perf_counter() - before
