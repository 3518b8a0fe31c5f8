"""`--profile`: a trace of some steps, and a paragraph that says what bounds the run and what to change."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch._C._autograd import DeviceType

from etude.errors import StorageError
from etude.runs.atomic import write_text

__all__ = ["NoProfiler", "Profile", "Profiler", "StepProfiler", "explain"]

SKIPPED = 5  # the first steps allocate, choose kernels and fill caches
PROFILED = 10
PHASES = ("forward", "backward", "clip", "optimizer")
ARITHMETIC = ("mm", "linear", "convolution", "attention", "gemm", "conv", "cutlass", "einsum")


class Profiler(Protocol):
    """Stands around each step."""

    def step(self, waited_s: float) -> contextlib.AbstractContextManager[None]:
        """Around a step whose data was waited for `waited_s` seconds."""
        ...

    def finish(self) -> None:
        """No more steps."""
        ...


class NoProfiler:
    """Looks at nothing."""

    def step(self, waited_s: float) -> contextlib.AbstractContextManager[None]:
        """Nothing."""
        return contextlib.nullcontext()

    def finish(self) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Profile:
    """Where the time of some steps went.

    Attributes:
        wall_s: seconds a step, its wait for data included.
        wait: share of that spent waiting for data.
        busy: share in which the device computed.
        phases: share of each phase of the step.
        operations: the costliest operations and their shares of the computing time.
        copies: share in which data was copied between host and device.
        blocked: share in which this process stood still for the device.
    """

    device: str
    wall_s: float
    wait: float
    busy: float
    phases: dict[str, float]
    operations: Sequence[tuple[str, float]]
    copies: float = 0.0
    blocked: float = 0.0


class StepProfiler:
    """Traces ten steps with torch's profiler, a few after the first.

    Args:
        folder: where `trace.json` and `summary.txt` are written.
        device: where the steps compute.
        tell: called with the paragraph.
        about: the run's settings that the advice depends on, as `explain` takes them.
    """

    def __init__(
        self, folder: Path, device: torch.device, tell: Callable[[str], None], about: Callable[[], dict[str, Any]]
    ) -> None:
        self._folder = folder
        self._device = device
        self._tell = tell
        self._about = about
        self._seen = 0
        self._wall_s = self._waited_s = self._cpu_s = 0.0
        self._trace: Any = None
        self._done = False

    @contextlib.contextmanager
    def step(self, waited_s: float) -> Iterator[None]:
        """Around a step."""
        if self._done or self._seen < SKIPPED:
            self._seen += 1
            yield
            return
        if self._trace is None:
            self._trace = torch.profiler.profile(activities=_activities(self._device), acc_events=True)
            self._trace.start()
            waited_s = 0.0  # the wait for this batch came before the trace
        began, cpu_began = time.perf_counter(), time.process_time()
        yield
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._wall_s += time.perf_counter() - began + waited_s
        self._cpu_s += time.process_time() - cpu_began
        self._waited_s += waited_s
        self._seen += 1
        if self._seen == SKIPPED + PROFILED:
            self.finish()

    def finish(self) -> None:
        """Write down what was seen; a run of fewer than six steps has seen nothing.

        Raises:
            StorageError: the folder cannot be written.
        """
        if self._done:
            return
        self._done = True
        if self._trace is None:
            self._tell(f"nothing was profiled: the run has fewer than {SKIPPED + 1} steps")
            return
        self._trace.stop()
        paragraph = explain(self._profile(), self._about())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._trace.export_chrome_trace(str(self._folder / "trace.json"))
            write_text(self._folder / "summary.txt", paragraph + "\n")
        except OSError as error:
            raise StorageError(f"cannot write {self._folder}: {error.strerror}", hint="free some space") from error
        self._tell(
            f"{paragraph}\ntrace: {self._folder / 'trace.json'} (open it at chrome://tracing or ui.perfetto.dev)"
        )

    def _profile(self) -> Profile:
        events = self._trace.key_averages()
        steps = self._seen - SKIPPED
        on_gpu = self._device.type == "cuda"
        own = {event.key: _own_s(event, on_gpu) for event in events if event.key not in PHASES}
        computed = sum(own.values())
        wall = max(self._wall_s, 1e-9)
        phases = {
            event.key: (event.device_time_total if on_gpu else event.cpu_time_total) / 1e6 / wall
            for event in events
            if event.key in PHASES and (not on_gpu or event.device_type == DeviceType.CPU)
        }
        blocked = sum(event.cpu_time_total for event in events if "Synchronize" in event.key) / 1e6
        copies = sum(value for key, value in own.items() if key.startswith("Memcpy"))
        ranked = sorted(own.items(), key=lambda item: item[1], reverse=True)[:4]
        return Profile(
            device=self._device.type,
            wall_s=wall / steps,
            wait=self._waited_s / wall,
            busy=min(1.0, computed / wall) if on_gpu else min(1.0, self._cpu_s / wall / torch.get_num_threads()),
            phases={name: phases.get(name, 0.0) for name in PHASES},
            operations=[(key, seconds / max(computed, 1e-9)) for key, seconds in ranked],
            copies=copies / wall,
            blocked=blocked / wall if on_gpu else 0.0,
        )


def _activities(device: torch.device) -> list[torch.profiler.ProfilerActivity]:
    activity = torch.profiler.ProfilerActivity
    return [activity.CPU, activity.CUDA] if device.type == "cuda" else [activity.CPU]


def _own_s(event: Any, on_gpu: bool) -> float:
    if on_gpu:
        on_device = event.device_type == DeviceType.CUDA
        return float(event.self_device_time_total) / 1e6 if on_device else 0.0
    return float(event.self_cpu_time_total) / 1e6


def explain(profile: Profile, about: dict[str, Any]) -> str:
    """The paragraph: where a step's time goes, what bounds the run, what to change.

    Args:
        about: `stored` (frames come from a frame store), `bf16` and `compile` (the accelerations in use).
    """
    phases = ", ".join(f"{name} {share:.0%}" for name, share in profile.phases.items())
    operations = ", ".join(f"{name} {share:.0%}" for name, share in profile.operations)
    bound, advice = _bound(profile, about)
    return (
        f"profile: a step takes {profile.wall_s:.3g} s: {profile.wait:.0%} waiting for data, {phases}. "
        f"The device computes {profile.busy:.0%} of the time; the costliest operations are {operations}. "
        f"The run is bound by {bound}. {advice}"
    )


def _bound(profile: Profile, about: dict[str, Any]) -> tuple[str, str]:
    if profile.wait > 0.1:
        if not about["stored"]:
            return "decoding its data", "Decode each frame once: --frames.store=auto, or raw if the disk has the room."
        return "reading its data", (
            "Put the frame store on a local disk (--frames.path), store frames raw (--frames.store=raw), "
            "or store smaller ones (--frames.width, --frames.height)."
        )
    if profile.device == "cuda" and profile.blocked > 0.2 and profile.busy < 0.8:
        return "waiting for the GPU to answer", "The trace shows who asks: look for cudaStreamSynchronize."
    if profile.device == "cuda" and profile.copies > 0.1:
        return "copies between host and GPU", "Store smaller frames: --frames.width and --frames.height."
    if profile.device == "cuda" and profile.busy < 0.7:
        advice = "Give the GPU more at once: a larger --batch_size" + (
            "." if about["compile"] != "off" else ", or --compile=on."
        )
        return "launching small kernels", advice
    heavy = sum(share for name, share in profile.operations if any(word in name.lower() for word in ARITHMETIC))
    if heavy > 0.4:
        if about["bf16"] == "off":
            return "arithmetic in float32", "Compute in fewer bits where the device can: --precision=auto."
        return (
            "arithmetic",
            "It runs as fast as this device computes; a faster device or a smaller policy is what is left.",
        )
    if profile.phases.get("optimizer", 0.0) > 0.25:
        return "the optimizer's walk through memory", "--fused_optimizer=on, or a larger --batch_size."
    return "many small operations on memory", "--compile=on fuses them, if the run is long enough to pay for compiling."
