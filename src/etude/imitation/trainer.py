"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from etude.data.prefetch import Prefetcher
from etude.errors import TrainingError
from etude.imitation import randomness
from etude.imitation.checkpoint import write_checkpoint
from etude.imitation.interruption import Interruption
from etude.imitation.learner import NotFiniteError, Part
from etude.imitation.refusals import STEP_FAILS_WITH, explain_step
from etude.imitation.session import Session
from etude.imitation.watch import Watch
from etude.runs.checkpoints import Checkpoint
from etude.runs.folder import RunFolder
from etude.runs.metrics import MetricRecord

__all__ = ["Listener", "Outcome", "Rollout", "Trainer"]

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
        self._saved = session.checkpoint
        self._stop = Interruption()

    def run(self) -> Outcome:
        """Train.

        Raises:
            TrainingError: the loss or its gradient became NaN or infinite.
            StorageError: a checkpoint could not be written.
        """
        steps = self.session.config.steps
        first = self.state.step
        with self._stop, Prefetcher(self._load, first, steps) as batches:
            status = self._finish_pending()
            for parts, waited_s in _timed(batches) if status is None else ():
                self._update(parts, waited_s)
                status = self._after_update()
                if status is not None:
                    break
            if self.session.config.save_checkpoint and not self._is_saved():
                self._save()
        return Outcome(status or "finished", self.state.step, self._saved, self._stop.received)

    def _after_update(self) -> str | None:
        """Log, measure and save what is due at this step; returns why to end, if so."""
        step, config = self.state.step, self.session.config
        if self._due(config.log_freq):
            self._log_training()
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
        self._saved = None  # the checkpoint that the run resumed from does not know of it
        return None if complete else "stopped"

    def _is_saved(self) -> bool:
        return self._saved is not None and self._saved.step == self.state.step

    # -- a step -----------------------------------------------------------------------------------------------------

    def _load(self, step: int) -> list[Part]:
        """This process's shares of a global batch; runs in the background, and draws no random number."""
        session = self.session
        return [
            Part(
                session.source.batch(session.order.share(step, index).rows),
                session.loss_weights.weights(step, index),
            )
            for index in session.parts
        ]

    def _update(self, parts: list[Part], waited_s: float) -> None:
        session, step = self.session, self.state.step
        if session.order.starts_epoch(step):
            # LeRobot's DataLoader draws a base seed when an epoch begins. Drawing it too keeps our losses equal to its.
            torch.empty((), dtype=torch.int64).random_()
        if session.augmentation is not None:
            parts = [
                Part(session.augmentation(part.batch, step, index), part.weights)
                for index, part in zip(session.parts, parts, strict=True)
            ]
        try:
            result = session.learner.update(parts)
        except NotFiniteError as error:
            raise self._not_finite(error, parts) from error
        except STEP_FAILS_WITH as error:
            raise explain_step(error, session.config.policy.type, step + 1, session.config.batch_size) from error
        samples = len(session.order.rows_of(step))
        self.state.step = step + 1
        session.meters.add(result, samples=samples, waited_s=waited_s)
        self._listener.step(self.state.step)

    def _not_finite(self, error: NotFiniteError, parts: list[Part]) -> TrainingError:
        episodes = sorted({int(episode) for part in parts for episode in part.batch["episode_index"]})
        good = self._saved or self._run.checkpoints.named("last")
        where = f"the last good checkpoint is {good.path}" if good else "no checkpoint was saved before it"
        return TrainingError(
            f"the {error.what} became NaN or infinite at step {self.state.step + 1} "
            f"(episodes in the batch: {', '.join(map(str, episodes))}); {where}",
            hint="check those episodes (`etude data check`), lower --policy.optimizer_lr, "
            "or use --precision=no or bf16 instead of fp16",
        )

    def _due(self, every: int) -> bool:
        return every > 0 and (self.state.step % every == 0 or self.state.step == self.session.config.steps)

    # -- what is measured -------------------------------------------------------------------------------------------

    def _log_training(self) -> None:
        session = self.session
        found = session.meters.read()
        shared = (
            session.processes.sum(torch.tensor(list(found.values()), dtype=torch.float64)) / session.processes.world
        )
        metrics = dict(zip(found, shared.tolist(), strict=True))
        place = session.order.position(self.state.step)
        metrics |= {
            "lr": session.learner.learning_rate,
            "epoch": place.epoch + place.sample / session.order.num_samples,
        }
        self._log({f"train/{name}": value for name, value in metrics.items()})
        session.meters.clear()

    def _measure(self, due: list[str]) -> tuple[bool, bool]:
        """Validate and roll out. What a stop cuts short stays in `state.pending`, for the resumed run to do first.

        Returns:
            Whether all of it was done, and whether the watched metric is the best so far.
        """
        session, improved = self.session, False
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
        """Write a checkpoint of this step; `last` points to it, and `best` where it is."""
        session, state = self.session, self.state
        session.meters.pause()
        state.position = session.order.position(state.step)
        state.meters = session.meters.state()
        random_states = session.processes.gather(randomness.capture())
        if session.processes.is_main:
            store = self._run.checkpoints

            def fill(folder: Path) -> None:
                write_checkpoint(
                    folder,
                    state=state,
                    random_states=random_states,
                    learner=session.learner,
                    config=session.config,
                    processors=session.processors,
                    batch_size=session.config.batch_size,
                )

            self._saved = store.write(state.step, fill)
            best = state.best.get("step") == state.step
            if best:
                store.mark_best(self._saved)
            store.prune(session.options.checkpoint.keep_last, self._is_regular)
            self._listener.saved(self._saved, best)
        else:
            self._saved = Checkpoint(self._run.checkpoints.folder / f"{state.step:06d}")
        session.processes.wait()
        session.meters.unpause()

    def _is_regular(self, step: int) -> bool:
        every = self.session.config.save_freq
        return bool(every > 0 and step % every == 0)


def _timed(batches: Prefetcher[list[Part]]) -> Iterator[tuple[list[Part], float]]:
    """Each batch with the seconds that were spent waiting for it."""
    iterator = iter(batches)
    while True:
        before = time.perf_counter()
        try:
            batch = next(iterator)
        except StopIteration:
            return
        yield batch, time.perf_counter() - before
