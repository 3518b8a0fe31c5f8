"""Several environments at once: in this process, or spread over others."""

from __future__ import annotations

import abc
import contextlib
import logging
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.errors import EtudeError, SimulationError
from etude.simulation import catalog
from etude.simulation.base import EnvironmentInfo, EnvironmentSpec, Observation, Step
from etude.simulation.slots import Slots, Stretch
from etude.simulation.table import ObservationTable

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext

    import numpy.typing as npt

__all__ = ["Environments", "make_environments"]

logger = logging.getLogger(__name__)

# What was found out about graphics, for processes that were started before it was.
_GRAPHICS = ("MUJOCO_GL", "PYOPENGL_PLATFORM", "ETUDE_RENDERING")


class Environments(abc.ABC):
    """A row of environments, each in its slot. Slots that are not named in a call do nothing.

    Attributes:
        table: what each saw last; `begin` and `advance` write it.
        processes: how many simulate.
    """

    def __init__(self, spec: EnvironmentSpec, count: int, processes: int, table: ObservationTable) -> None:
        self.spec, self.count, self.processes, self.table = spec, count, processes, table
        self.info: EnvironmentInfo = catalog.describe(spec)

    @abc.abstractmethod
    def begin(self, seeds: Mapping[int, int], films: Mapping[int, Path] | None = None) -> None:
        """Begin episodes: slot to seed; slot to the file of a video, for those that are filmed."""

    @abc.abstractmethod
    def advance(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Stretch]:
        """Make control steps: slot to actions `(steps, action)`. Looks once, after the last of them."""

    @abc.abstractmethod
    def look(self, slots: list[int]) -> None:
        """Look again."""

    @abc.abstractmethod
    def render(self, slots: list[int]) -> dict[int, npt.NDArray[Any]]:
        """Pictures for people, uint8 `(height, width, 3)`."""

    @abc.abstractmethod
    def finish_films(self) -> None:
        """Wait until the videos of ended episodes are complete.

        Raises:
            SimulationError: one could not be written.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Free everything."""

    def reset(self, seeds: Mapping[int, int]) -> dict[int, Observation]:
        """Begin episodes: slot to seed in, slot to first observation out."""
        self.begin(seeds)
        return {slot: self.table.read(slot) for slot in seeds}

    def step(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Step]:
        """One control step: slot to action `(action,)` in, slot to what it brought out."""
        import numpy as np

        stretches = self.advance({slot: np.asarray(action)[None] for slot, action in actions.items()})
        self.look([slot for slot, stretch in stretches.items() if stretch.ended])
        return {
            slot: Step(self.table.read(slot), stretch.rewards[0], stretch.success, stretch.done)
            for slot, stretch in stretches.items()
        }


def make_environments(spec: EnvironmentSpec, count: int, processes: int = 0) -> Environments:
    """Start `count` environments.

    An episode depends on its seed and its actions alone: `count` and `processes` change the speed, never the
    initial states.

    Args:
        processes: how many processes to spread them over; 0 or 1 runs them in this one. They start while the
            caller goes on: what goes wrong there is raised at the first use.

    Raises:
        SimulationError: unknown names, or the simulator cannot run here.
    """
    resolved = catalog.resolve(spec)
    if processes > 1 and count > 1:
        return _InProcesses(resolved, count, min(processes, count))
    return _InThisProcess(resolved, count)


class _InThisProcess(Environments):
    def __init__(self, spec: EnvironmentSpec, count: int) -> None:
        super().__init__(spec, count, 1, ObservationTable.make(spec, count))
        self._slots = Slots(spec, list(range(count)), self.table)

    def begin(self, seeds: Mapping[int, int], films: Mapping[int, Path] | None = None) -> None:
        self._slots.begin(seeds, films or {})

    def advance(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Stretch]:
        return self._slots.advance(actions)

    def look(self, slots: list[int]) -> None:
        self._slots.look(slots)

    def render(self, slots: list[int]) -> dict[int, npt.NDArray[Any]]:
        return self._slots.render(slots)

    def finish_films(self) -> None:
        self._slots.finish_films()

    def close(self) -> None:
        self._slots.close()


class _InProcesses(Environments):
    """Environments spread over worker processes; slot s lives in worker s modulo their number."""

    def __init__(self, spec: EnvironmentSpec, count: int, processes: int) -> None:
        context = _context(spec)
        super().__init__(spec, count, processes, ObservationTable.make(spec, count, context))
        self._workers: list[tuple[Any, Connection]] = []
        self._waiting = True
        variables = {name: os.environ[name] for name in _GRAPHICS if name in os.environ}
        for index in range(processes):
            mine, theirs = context.Pipe()
            slots = list(range(index, count, processes))
            worker = context.Process(target=_work, args=(theirs, spec, slots, self.table, variables), daemon=True)  # type: ignore[attr-defined]
            worker.start()
            theirs.close()
            self._workers.append((worker, mine))

    def begin(self, seeds: Mapping[int, int], films: Mapping[int, Path] | None = None) -> None:
        shares = self._shares(seeds)
        filmed = films or {}
        self._ask(
            "begin",
            {
                index: (share, {slot: filmed[slot] for slot in share if slot in filmed})
                for index, share in shares.items()
            },
        )

    def advance(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Stretch]:
        return self._together(self._ask("advance", _alone(self._shares(actions))), actions)

    def look(self, slots: list[int]) -> None:
        self._ask("look", _alone(self._shares(dict.fromkeys(slots)), list))

    def render(self, slots: list[int]) -> dict[int, npt.NDArray[Any]]:
        named = dict.fromkeys(slots)
        return self._together(self._ask("render", _alone(self._shares(named), list)), named)

    def finish_films(self) -> None:
        self._ask("finish_films", dict.fromkeys(range(len(self._workers)), ()))

    def close(self) -> None:
        for _, connection in self._workers:
            with contextlib.suppress(OSError):
                connection.send(("close", ()))
            connection.close()
        for worker, _ in self._workers:
            worker.join(timeout=5)
            if worker.is_alive():
                worker.terminate()
        self._workers = []

    def _shares[T](self, values: Mapping[int, T]) -> dict[int, dict[int, T]]:
        """Worker to what is for its slots; none for those that have nothing to do."""
        shares: dict[int, dict[int, T]] = {}
        for slot, value in values.items():
            shares.setdefault(slot % len(self._workers), {})[slot] = value
        return shares

    def _together(self, answers: Mapping[int, Any], slots: Mapping[int, Any]) -> dict[int, Any]:
        return {slot: answers[slot % len(self._workers)][slot] for slot in slots}

    def _ask(self, verb: str, values: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Send each worker its share, then collect: the workers run side by side."""
        self._wait_for_workers()
        for index, arguments in values.items():
            try:
                self._workers[index][1].send((verb, arguments))
            except OSError as error:
                raise _ended() from error
        return {index: _receive(self._workers[index][1]) for index in values}

    def _wait_for_workers(self) -> None:
        if self._waiting:
            self._waiting = False
            for _, connection in self._workers:
                _receive(connection)


def _context(spec: EnvironmentSpec) -> BaseContext:
    """How processes start: not forked from this one, whose threads and graphics state a copy could not use.

    A clean process that has imported the simulator is forked instead, where the import starts neither.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["etude.simulation.slots", *catalog.imported_early(spec)])
    return context


def _alone(shares: Mapping[int, Any], form: Callable[[Any], Any] = dict) -> dict[int, tuple[Any]]:
    return {index: (form(share),) for index, share in shares.items()}


def _receive(connection: Connection) -> Any:
    try:
        problem, answer = connection.recv()
    except (EOFError, OSError) as lost:
        raise _ended() from lost
    if problem is not None:
        message, hint = problem
        raise SimulationError(message, hint=hint)
    return answer


def _ended() -> SimulationError:
    return SimulationError(
        "a simulation process ended unexpectedly (out of memory, or a graphics driver failed)",
        hint="try --eval.processes=1 and a smaller --eval.batch_size",
    )


def _work(
    connection: Connection,
    spec: EnvironmentSpec,
    numbers: list[int],
    table: ObservationTable,
    variables: Mapping[str, str],
) -> None:
    """A worker's life: start its environments, answer until told to stop or the other side is gone."""
    os.environ.update(variables)
    slots: Slots | None = None
    try:
        slots = Slots(spec, numbers, table)
        if "cv2" in sys.modules:
            sys.modules["cv2"].setNumThreads(1)  # the processes are the parallelism
        connection.send((None, None))
        while True:
            verb, arguments = connection.recv()
            if verb == "close":
                break
            connection.send((None, getattr(slots, verb)(*arguments)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        pass
    except EtudeError as error:
        connection.send(((error.message, error.hint), None))
    except Exception as error:  # noqa: BLE001  it must reach the other side, whatever it is
        logger.debug("%s", traceback.format_exc())
        connection.send(((f"the simulation failed: {type(error).__name__}: {error}", None), None))
    finally:
        if slots is not None:
            slots.close()
