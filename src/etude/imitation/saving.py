"""Checkpoints written by a thread of their own, from a snapshot, while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from etude.imitation import randomness
from etude.imitation.checkpoint import write_checkpoint
from etude.imitation.session import Session
from etude.imitation.snapshot import SnapshotTaker
from etude.runs.checkpoints import Checkpoint, CheckpointStore

__all__ = ["Saver"]


class Saver:
    """Writes one checkpoint at a time.

    Args:
        saved: called in the training thread once a checkpoint is complete, with whether it is the best so far.
    """

    def __init__(self, session: Session, store: CheckpointStore, saved: Callable[[Checkpoint, bool], None]) -> None:
        self._session = session
        self._store = store
        self._announce = saved
        self._snapshots = SnapshotTaker(session.learner)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="etude-checkpoint")
        self._writing: Future[Checkpoint] | None = None
        self._is_best = False
        self.newest = session.checkpoint
        self.begun_step = session.checkpoint.step if session.checkpoint else None

    def begin(self) -> None:
        """Copy the run as it stands, and begin to write it; `last`, and `best` where it is, will point to it.

        Raises:
            StorageError: an earlier checkpoint could not be written.
        """
        self.finish()
        session, state = self._session, self._session.state
        state.position = session.order.position(state.step)
        state.meters = session.meters.state()
        random_states = session.processes.gather(randomness.capture())
        self.begun_step = state.step
        if not session.processes.is_main:
            self.newest = Checkpoint(self._store.folder / f"{state.step:06d}")
            return
        snapshot, standing = self._snapshots.take(), asdict(state)
        best = self._is_best = state.best.get("step") == state.step

        def fill(folder: Path) -> None:
            write_checkpoint(
                folder,
                state=standing,
                random_states=random_states,
                snapshot=snapshot,
                config=session.config,
                processors=session.processors,
                batch_size=session.config.batch_size,
            )

        self._writing = self._thread.submit(self._write, standing["step"], fill, best)

    def poll(self) -> None:
        """Tell of a checkpoint that has been completed; waits for nothing."""
        if self._writing is not None and self._writing.done():
            self.finish()

    def finish(self) -> None:
        """Wait until what was begun is written.

        Raises:
            StorageError: it could not be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self.newest = writing.result()
            self._announce(self.newest, self._is_best)

    def close(self) -> None:
        """Wait for the thread; an error of its last checkpoint is not raised."""
        self._thread.shutdown(wait=True)

    def _write(self, step: int, fill: Callable[[Path], None], best: bool) -> Checkpoint:
        checkpoint = self._store.write(step, fill)
        if best:
            self._store.mark_best(checkpoint)
        self._store.prune(self._session.options.checkpoint.keep_last, self._is_regular)
        return checkpoint

    def _is_regular(self, step: int) -> bool:
        every = self._session.config.save_freq
        return bool(every > 0 and step % every == 0)
