"""Stretches of steps, videos, and what processes share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etude.errors import SimulationError
from etude.simulation import EnvironmentSpec, make_environments
from etude.simulation.films import WAITING, Film

IMAGE = "observation.image"
PUSHT = EnvironmentSpec("pusht", observations={"observation.state": (2,), IMAGE: (3, 48, 64)}, max_steps=12)


def targets(steps: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(100, 400, (steps, 2)).astype(np.float32)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stretch_is_its_steps_one_after_the_other(processes: int) -> None:
    single, several = make_environments(PUSHT, 1), make_environments(PUSHT, 3, processes)
    actions = targets(5)
    try:
        single.reset({0: 7})
        several.begin({0: 3, 1: 7, 2: 5})
        stretch = several.advance({1: actions, 2: actions[:2]})[1]
        steps = [single.step({0: action})[0] for action in actions]
        assert stretch.rewards == [step.reward for step in steps]
        assert (stretch.ended, stretch.done, stretch.success) == (False, False, False)
        for name, seen in steps[-1].observation.items():
            np.testing.assert_array_equal(several.table.arrays[name][1], seen)
    finally:
        single.close()
        several.close()


def test_an_episode_ends_at_its_last_step() -> None:
    environments = make_environments(PUSHT, 1)
    environments.begin({0: 1})
    stretch = environments.advance({0: targets(20)})[0]
    assert (len(stretch.rewards), stretch.ended, stretch.done) == (12, True, False)


@pytest.mark.parametrize("processes", [1, 2])
def test_videos_are_written_where_the_simulation_runs(processes: int, tmp_path: Path) -> None:
    import av

    environments = make_environments(PUSHT, 2, processes)
    try:
        environments.begin({0: 1, 1: 2}, {1: tmp_path / "one.mp4"})
        environments.advance({slot: targets(12) for slot in (0, 1)})
        environments.finish_films()
    finally:
        environments.close()
    with av.open(str(tmp_path / "one.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 12 + 1 + 7
    assert [path.name for path in tmp_path.iterdir()] == ["one.mp4"]


def test_a_video_that_cannot_be_written_is_told_and_does_not_hang(tmp_path: Path) -> None:
    film = Film(tmp_path / "absent" / "film.mp4", fps=10)
    for _ in range(2 * WAITING):
        film.add(np.zeros((32, 32, 3), dtype=np.uint8))
    film.end()
    with pytest.raises(SimulationError, match="could not be written"):
        film.wait()


def test_a_process_that_failed_says_why_and_then_that_it_has_ended() -> None:
    spec = EnvironmentSpec("pusht", observations={IMAGE: (3, 16, 16)}, video_size=(0, 0))
    environments = make_environments(spec, 2, processes=2)
    try:
        environments.begin({0: 1})
        with pytest.raises(SimulationError, match="the simulation failed"):
            environments.render([0])
        with pytest.raises(SimulationError, match="ended unexpectedly") as error:
            environments.begin({0: 1})
        assert "--eval.processes=1" in (error.value.hint or "")
    finally:
        environments.close()
