"""How MuJoCo draws without a screen: EGL where it works, else OSMesa, else not at all."""

from __future__ import annotations

import os
import subprocess
import sys

from etude.errors import SimulationError

__all__ = ["choose_backend", "prepare_rendering"]

BACKENDS = ("egl", "osmesa")
_OFF = ("disable", "disabled", "off", "false", "0")

# Tells child processes what was found, so that they need not try again.
_FOUND = "ETUDE_RENDERING"
_PROBE = "import mujoco; context = mujoco.GLContext(16, 16); context.make_current(); context.free()"


def prepare_rendering() -> None:
    """Choose MuJoCo's graphics backend; must run before anything imports mujoco, which fixes it at import.

    A broken driver may end the process that tries it, so each backend is tried in a process of its own. Where
    none works, simulating still does: `choose_backend` then says what is missing. `MUJOCO_GL` is honoured.

    Raises:
        SimulationError: `MUJOCO_GL` names a backend that does not work here.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower()
    if chosen in _OFF or (chosen and os.environ.get(_FOUND) == chosen):
        return
    reasons = []
    for backend in (chosen,) if chosen else BACKENDS:
        reason = _try(backend)
        if reason is None:
            _set(backend)
            return
        reasons.append(f"{backend}: {reason}")
    if chosen:
        raise SimulationError(
            f"MUJOCO_GL={chosen} does not work here ({reasons[0]})",
            hint="unset MUJOCO_GL to let étude choose; `etude doctor` tells what this machine has",
        )
    os.environ["MUJOCO_GL"] = "disable"
    os.environ[_FOUND] = "; ".join(reasons)


def choose_backend() -> str:
    """The backend that draws here.

    Raises:
        SimulationError: they cannot; the hint says what to install.
    """
    prepare_rendering()
    backend = os.environ["MUJOCO_GL"].lower()
    if backend in _OFF:
        reasons = os.environ.get(_FOUND, "MUJOCO_GL says so")
        raise SimulationError(
            f"this machine cannot draw pictures ({reasons})",
            hint="apt-get install libegl1 libgl1-mesa-dri (EGL), or libosmesa6 (OSMesa); "
            "a policy that reads no images can be evaluated with --videos=0",
        )
    return backend


def _set(backend: str) -> None:
    os.environ["MUJOCO_GL"] = os.environ[_FOUND] = backend
    if backend in BACKENDS:
        # dm_control reads PyOpenGL's own variable.
        os.environ.setdefault("PYOPENGL_PLATFORM", backend)


def _try(backend: str) -> str | None:
    """None when it works, else why it does not."""
    environment = {**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "no answer in 60 s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
