"""GPU, video decoders and rendering: each tried for real, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from etude.doctor.finding import Finding, Status
from etude.doctor.probe import Probe, run_probe
from etude.doctor.software import INSTALL, installed

__all__ = ["check_decoders", "check_gpu", "check_rendering"]

RENDERING_LIBRARIES = "sudo apt install libegl1 libgl1 libosmesa6"


def check_gpu() -> Finding:
    """torch, and the GPU that it can compute on."""
    driver = _nvidia_driver()
    if installed("torch") is None:
        found = f"driver {driver}; torch is not installed" if driver else "torch is not installed"
        return Finding("gpu", Status.WARNING, found, INSTALL.format(extra="imitation"))
    probe = run_probe("torch_device")
    details = {**probe.facts, "driver": driver}
    if not probe.ok:
        fix = "reinstall it: rm -r .venv && make setup; with a GPU, look at nvidia-smi first"
        return Finding("gpu", Status.PROBLEM, f"torch does not work: {probe.error}", fix, details)
    devices = probe.facts["devices"]
    if devices:
        listed = ", ".join(f"{device['name']} ({device['memory_gib']} GiB)" for device in devices)
        return Finding("gpu", Status.OK, f"{listed}, driver {driver or 'unknown'}", details=details)
    if driver:
        build = probe.facts["cuda_build"]
        fix = f"torch is built for CUDA {build}: update the driver, or look at CUDA_VISIBLE_DEVICES"
        return Finding("gpu", Status.WARNING, f"driver {driver}, but torch sees no device", fix, details)
    found = "Apple GPU (--policy.device=mps)" if probe.facts["mps"] else "none: training runs on the processor"
    return Finding("gpu", Status.OK, found, details=details)


def _nvidia_driver() -> str | None:
    """The driver's version, or None without one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = answer.stdout.split() if answer.returncode == 0 else []
    return lines[0] if lines else None


def check_decoders() -> Finding:
    """Does torchcodec, and does PyAV, give back the frames of a video written a moment ago?"""
    names = {"torchcodec": "torchcodec", "pyav": "av"}
    present = [name for name, package in names.items() if installed(package)]
    if not present:
        fix = INSTALL.format(extra="imitation")
        return Finding("decoders", Status.WARNING, "neither torchcodec nor PyAV is installed", fix)
    probes = _together({name: lambda name=name: run_probe("video", name) for name in present})  # type: ignore[misc]
    found = "; ".join(f"{name} {_told(probe)}" for name, probe in probes.items())
    details = {name: {"ok": probe.ok, **probe.facts, "error": probe.error} for name, probe in probes.items()}
    working = [name for name, probe in probes.items() if probe.ok]
    if not working:
        return Finding("decoders", Status.PROBLEM, found, "sudo apt install ffmpeg, then etude doctor", details)
    if "torchcodec" not in working:
        fix = "sudo apt install ffmpeg (until then LeRobot decodes with PyAV, about half as fast)"
        return Finding("decoders", Status.WARNING, found, fix, details)
    return Finding("decoders", Status.OK, found, details=details)


def _told(probe: Probe) -> str:
    if not probe.ok:
        return f"fails: {probe.error}"
    failed = probe.facts.get("failed")
    names = [codec.replace("libsvtav1", "AV1").replace("h264", "H.264") for codec in probe.facts["decoded"]]
    return f"decodes {' and '.join(names)}" + (f" (not {', '.join(failed)})" if failed else "")


def check_rendering() -> Finding:
    """Can MuJoCo draw without a screen: with EGL, with OSMesa, with neither?"""
    if installed("mujoco") is None:
        fix = INSTALL.format(extra="sim")
        return Finding("rendering", Status.WARNING, "no simulator is installed", fix)
    backends = ("egl", "osmesa")
    probes = _together(
        {
            name: lambda name=name: run_probe(  # type: ignore[misc]
                "rendering", environment={"MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
            )
            for name in backends
        }
    )
    found = "; ".join(f"{name} {'works' if probe.ok else f'fails: {probe.error}'}" for name, probe in probes.items())
    details = {name: {"ok": probe.ok, "error": probe.error} for name, probe in probes.items()}
    working = [name for name in backends if probes[name].ok]
    if not working:
        return Finding("rendering", Status.WARNING, f"none ({found})", RENDERING_LIBRARIES, details)
    wished = os.environ.get("MUJOCO_GL")
    if wished in backends and wished not in working:
        return Finding("rendering", Status.WARNING, found, f"export MUJOCO_GL={working[0]}", details)
    hint = None if "egl" in working else "export MUJOCO_GL=osmesa"
    return Finding("rendering", Status.OK, found, hint, details)


def _together(tasks: dict[str, Callable[[], Probe]]) -> dict[str, Probe]:
    """Run the probes at the same time."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = {name: pool.submit(task) for name, task in tasks.items()}
        return {name: future.result() for name, future in futures.items()}
