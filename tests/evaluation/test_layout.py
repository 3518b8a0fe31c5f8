"""Environments and processes that nobody asked for suit the machine; those that were asked for are taken."""

from __future__ import annotations

import pytest

from etude.evaluation import layout
from etude.evaluation.layout import Layout, choose_layout
from etude.simulation import EnvironmentSpec

PICTURES = EnvironmentSpec("pusht", observations={"observation.image": (3, 96, 96)})
VECTORS = EnvironmentSpec("pusht", observations={"observation.state": (2,)})


@pytest.mark.parametrize("cores", [1, 2, 6, 64])
@pytest.mark.parametrize("spec", [PICTURES, VECTORS])
@pytest.mark.parametrize("episodes", [1, 3, 10, 50, 500])
def test_no_process_is_idle_and_no_environment_is_without_an_episode(
    cores: int, spec: EnvironmentSpec, episodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "_cores", lambda: cores)
    chosen = choose_layout(spec, episodes)
    assert 1 <= chosen.processes <= min(cores, chosen.environments)
    assert chosen.environments <= episodes
    assert chosen.environments in (episodes, -(-chosen.environments // chosen.processes) * chosen.processes)


def test_a_short_evaluation_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_cores", lambda: 8)
    assert choose_layout(PICTURES, 5).processes == 1
    assert choose_layout(PICTURES, 50) == Layout(16, 8)
    assert choose_layout(VECTORS, 50) == Layout(50, 8)


def test_what_was_asked_for_is_taken() -> None:
    assert choose_layout(PICTURES, 50, batch_size=7, processes=3) == Layout(7, 3)
    assert choose_layout(PICTURES, 4, batch_size=7, processes=9) == Layout(4, 4)
    assert str(Layout(1, 1)) == "1 environment side by side, simulated in this process"
    assert str(Layout(8, 2)) == "8 environments side by side, simulated in 2 processes"
