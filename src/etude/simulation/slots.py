"""One environment of a row and the episode that it plays, filmed if anybody wants to see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.errors import EtudeError, SimulationError
from etude.simulation import catalog
from etude.simulation.base import Environment, EnvironmentSpec
from etude.simulation.films import Film
from etude.simulation.table import ObservationTable

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Slots", "Stretch"]


@dataclass(frozen=True)
class Stretch:
    """What several control steps in a row brought.

    Attributes:
        rewards: one for each step that was made; fewer than actions were given when the episode ended before.
        success: at any of them.
        done: the task is done.
        ended: the task is done, or the episode has had all its steps. Then nothing was looked at any more.
    """

    rewards: list[float]
    success: bool
    done: bool
    ended: bool


class Slots:
    """Some of a row's environments, those of one process, stepped one after the other.

    Observations go into their rows of `table`, once after each stretch: what no policy reads is not drawn.
    """

    def __init__(self, spec: EnvironmentSpec, numbers: list[int], table: ObservationTable) -> None:
        self._table = table
        self._slots = {number: _Slot(_start(spec), number, table) for number in numbers}
        self._films: list[Film] = []

    def begin(self, seeds: Mapping[int, int], films: Mapping[int, Path]) -> None:
        """Begin episodes: slot to seed, and to the file of its video."""
        for number, seed in seeds.items():
            film = None
            if number in films:
                film = Film(films[number], self._slots[number].environment.info.fps)
                self._films.append(film)
            self._slots[number].begin(seed, film)

    def advance(self, actions: Mapping[int, npt.NDArray[Any]]) -> dict[int, Stretch]:
        """Make steps: slot to actions `(steps, action)`."""
        return {number: self._slots[number].advance(chosen) for number, chosen in actions.items()}

    def look(self, numbers: list[int]) -> None:
        """Write what is seen now."""
        for number in numbers:
            self._table.write(number, self._slots[number].environment.observe())

    def render(self, numbers: list[int]) -> dict[int, npt.NDArray[Any]]:
        """Pictures for people."""
        return {number: self._slots[number].environment.render() for number in numbers}

    def finish_films(self) -> None:
        """Wait until the videos of ended episodes are complete."""
        films, self._films = self._films, []
        for film in films:
            film.wait()

    def close(self) -> None:
        """Stop the videos, free the environments."""
        for slot in self._slots.values():
            slot.close()


class _Slot:
    def __init__(self, environment: Environment, number: int, table: ObservationTable) -> None:
        self.environment = environment
        self._number, self._table = number, table
        self._steps = 0
        self._film: Film | None = None

    def begin(self, seed: int, film: Film | None) -> None:
        self.close_film()
        self._steps, self._film = 0, film
        self._table.write(self._number, self.environment.reset(seed))

    def advance(self, actions: npt.NDArray[Any]) -> Stretch:
        rewards: list[float] = []
        success = done = ended = False
        for action in actions:
            if self._film is not None and self._film.wants(self._steps):
                self._film.add(self.environment.render())
            outcome = self.environment.act(action)
            self._steps += 1
            rewards.append(outcome.reward)
            success = success or outcome.success
            done = outcome.ended
            ended = done or self._steps >= self.environment.info.max_steps
            if ended:
                break
        if ended and self._film is not None:
            self._film.add(self.environment.render())
            self.close_film()
        if not ended:
            self._table.write(self._number, self.environment.observe())
        return Stretch(rewards, success, done, ended)

    def close_film(self) -> None:
        if self._film is not None:
            self._film.end()
            self._film = None

    def close(self) -> None:
        self.close_film()
        self.environment.close()


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
