"""What happens where there is no way to draw. In processes of their own: MuJoCo chooses once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from etude.errors import SimulationError
from etude.simulation import rendering

PROGRAM = """
from etude.errors import SimulationError
from etude.simulation import EnvironmentSpec, make_environments
spec = EnvironmentSpec("metaworld", "reach-v3", observations={"observation.state": (4,)})
environments = make_environments(spec, 1)
print("simulates", environments.reset({0: 1})[0]["observation.state"].shape)
try:
    environments.render([0])
except SimulationError as error:
    print("refused:", error.message, "|", error.hint)
"""


def test_without_graphics_it_still_simulates_and_says_what_to_install() -> None:
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert "simulates (4,)" in done.stdout
    assert "cannot draw pictures" in done.stdout
    assert "libegl1" in done.stdout


def test_the_first_backend_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "ETUDE_RENDERING"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(rendering, "_try", lambda backend: "broken" if backend == "egl" else None)
    rendering.prepare_rendering()
    assert os.environ["MUJOCO_GL"] == os.environ["PYOPENGL_PLATFORM"] == "osmesa"
    rendering.choose_backend()


def test_none_that_works_is_told_with_each_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MUJOCO_GL", "ETUDE_RENDERING"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(rendering, "_try", lambda backend: f"no lib{backend}")
    with pytest.raises(SimulationError, match=r"egl: no libegl; osmesa: no libosmesa"):
        rendering.choose_backend()


def test_a_backend_that_was_asked_for_and_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.delenv("ETUDE_RENDERING", raising=False)
    monkeypatch.setattr(rendering, "_try", lambda backend: "no such library")
    with pytest.raises(SimulationError, match="MUJOCO_GL=osmesa does not work here"):
        rendering.prepare_rendering()
