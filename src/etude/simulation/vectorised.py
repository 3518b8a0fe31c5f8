"""Several environments at once: in this process, or spread over others."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from etude.errors import EtudeError, SimulationError
from etude.simulation import catalog
from etude.simulation.base import Environment, EnvironmentInfo, EnvironmentSpec, Observation, Step

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import numpy.typing as npt

__all__ = ["Environments", "make_environments"]

logger = logging.getLogger(__name__)


class Environments(Protocol):
    """A row of environments, each in its slot. Slots that are not named in a call do nothing."""

    spec: EnvironmentSpec
    info: EnvironmentInfo
    count: int

    def reset(self, seeds: Mapping[int, int]) -> dict[int, Observation]:
        """Begin episodes: slot to seed in, slot to first observation out."""

    def step(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Step]:
        """One control step: slot to action `(action,)` in, slot to what it brought out."""

    def render(self, slots: list[int]) -> dict[int, npt.NDArray[Any]]:
        """Pictures for people, uint8 `(height, width, 3)`."""

    def close(self) -> None: ...


def make_environments(spec: EnvironmentSpec, count: int, processes: int = 0) -> Environments:
    """Start `count` environments.

    An episode depends on its seed and its actions alone: `count` and `processes` change the speed, never the
    initial states.

    Args:
        processes: how many processes to spread them over; 0 or 1 runs them in this one. Worth it where
            pictures are rendered or the physics is slow.

    Raises:
        SimulationError: unknown names, or the simulator cannot run here.
    """
    resolved = catalog.resolve(spec)
    if processes > 1 and count > 1:
        return _InProcesses(resolved, count, min(processes, count))
    return _InThisProcess(resolved, count)


class _InThisProcess:
    """Environments stepped one after the other."""

    def __init__(self, spec: EnvironmentSpec, count: int) -> None:
        self.spec, self.count = spec, count
        self.info = catalog.describe(spec)
        self._environments: list[Environment] = [_start(spec) for _ in range(count)]

    def reset(self, seeds: Mapping[int, int]) -> dict[int, Observation]:
        return {slot: self._environments[slot].reset(seed) for slot, seed in seeds.items()}

    def step(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Step]:
        return {slot: self._environments[slot].step(action) for slot, action in actions.items()}

    def render(self, slots: list[int]) -> dict[int, npt.NDArray[Any]]:
        return {slot: self._environments[slot].render() for slot in slots}

    def close(self) -> None:
        for environment in self._environments:
            environment.close()


class _InProcesses:
    """Environments spread over worker processes; slot s lives in worker s modulo their number."""

    def __init__(self, spec: EnvironmentSpec, count: int, processes: int) -> None:
        self.spec, self.count = spec, count
        self.info = catalog.describe(spec)
        # Not forked: a copy of this process's threads and graphics state would hang.
        context = multiprocessing.get_context("spawn")
        self._workers: list[tuple[Any, Connection]] = []
        for index in range(processes):
            mine, theirs = context.Pipe()
            slots = list(range(index, count, processes))
            worker = context.Process(target=_work, args=(theirs, spec, slots), daemon=True)
            worker.start()
            theirs.close()
            self._workers.append((worker, mine))
        try:
            for _, connection in self._workers:
                self._receive(connection)
        except BaseException:
            self.close()
            raise

    def reset(self, seeds: Mapping[int, int]) -> dict[int, Observation]:
        return self._ask("reset", seeds)

    def step(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Step]:
        return self._ask("step", actions)

    def render(self, slots: list[int]) -> dict[int, npt.NDArray[Any]]:
        return self._ask("render", dict.fromkeys(slots))

    def close(self) -> None:
        for _, connection in self._workers:
            with contextlib.suppress(OSError):
                connection.send(("close", {}))
            connection.close()
        for worker, _ in self._workers:
            worker.join(timeout=5)
            if worker.is_alive():
                worker.terminate()
        self._workers = []

    def _ask(self, verb: str, values: Mapping[int, Any]) -> dict[int, Any]:
        """Send each worker its share, then collect: the workers run side by side."""
        busy = []
        for index, (_, connection) in enumerate(self._workers):
            share = {slot: value for slot, value in values.items() if slot % len(self._workers) == index}
            if share:
                try:
                    connection.send((verb, share))
                except OSError as error:
                    raise _ended() from error
                busy.append(connection)
        answers: dict[int, Any] = {}
        for connection in busy:
            answers.update(self._receive(connection))
        return {slot: answers[slot] for slot in values}

    def _receive(self, connection: Connection) -> dict[int, Any]:
        try:
            error, answer = connection.recv()
        except (EOFError, OSError) as lost:
            raise _ended() from lost
        if error is not None:
            raise error
        received: dict[int, Any] = answer
        return received


def _ended() -> SimulationError:
    return SimulationError(
        "a simulation process ended unexpectedly (out of memory, or a graphics driver failed)",
        hint="try --eval.processes=1 and a smaller --eval.batch_size",
    )


def _start(spec: EnvironmentSpec) -> Environment:
    """Start one environment; what its simulator raises becomes a SimulationError."""
    try:
        return catalog.create(spec)
    except EtudeError:
        raise
    except Exception as error:  # simulators raise anything, down to OpenGL's
        raise SimulationError(
            f"{spec.type} {spec.task} does not start: {type(error).__name__}: {error}",
            hint="`etude doctor` says what rendering this machine has",
        ) from error


def _work(connection: Connection, spec: EnvironmentSpec, slots: list[int]) -> None:
    """A worker's life: start its environments, answer until told to stop or the other side is gone."""
    environments: dict[int, Environment] = {}
    try:
        environments = {slot: _start(spec) for slot in slots}
        connection.send((None, {}))
        while True:
            verb, values = connection.recv()
            if verb == "close":
                break
            connection.send((None, {slot: _do(environments[slot], verb, v) for slot, v in values.items()}))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        pass
    except EtudeError as error:
        connection.send((SimulationError(error.message), None))
    except Exception as error:  # noqa: BLE001  it must reach the other side, whatever it is
        logger.debug("%s", traceback.format_exc())
        connection.send((SimulationError(f"the simulation failed: {type(error).__name__}: {error}"), None))
    finally:
        for environment in environments.values():
            environment.close()


def _do(environment: Environment, verb: str, value: Any) -> Any:
    if verb == "reset":
        return environment.reset(value)
    return environment.step(value) if verb == "step" else environment.render()
