"""How MuJoCo draws without a screen: EGL where it works, else OSMesa."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

from etude.errors import SimulationError

__all__ = ["choose_backend"]

BACKENDS = ("egl", "osmesa")
_PROBE = "import mujoco; context = mujoco.GLContext(16, 16); context.make_current(); context.free()"


@functools.cache
def choose_backend() -> str:
    """Set `MUJOCO_GL` (unless the user did) to a backend that works here; must run before mujoco is imported.

    MuJoCo fixes its backend at import, and a broken driver may end the process, so each is tried in its own.

    Raises:
        SimulationError: none works.
    """
    chosen = os.environ.get("MUJOCO_GL")
    if chosen:
        _set(chosen)
        return chosen
    reasons = []
    for backend in BACKENDS:
        reason = _try(backend)
        if reason is None:
            _set(backend)
            return backend
        reasons.append(f"{backend}: {reason}")
    raise SimulationError(
        f"this machine cannot draw pictures ({'; '.join(reasons)})",
        hint="apt-get install libegl1 libgl1-mesa-dri (EGL), or libosmesa6 (OSMesa); or evaluate a policy "
        "without images with --videos=0",
    )


def _set(backend: str) -> None:
    os.environ["MUJOCO_GL"] = backend
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
