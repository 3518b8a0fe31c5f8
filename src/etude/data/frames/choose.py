"""Which form a run's frames take: a pure function of what is there, what is free and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from etude.errors import StorageError

__all__ = ["CameraFacts", "Choice", "Facts", "choose", "readable_bytes"]

GIB = 2**30
LEFT_FREE = 10 * GIB  # what auto leaves of the disk in any case
RESERVE = GIB  # what an explicit form leaves, so that the run can still write its checkpoints
AUTO_DISK_SHARE = 0.5
PAGE_CACHE_SHARE = 0.6  # of the free memory: the rest is for the run itself
MEMORY_SHARE = 0.25  # of the free memory, for frames that are kept nowhere else
WORTH_BUILDING = 0.25  # reads a stored frame: decoding in order is about four times as fast as decoding at random
WORTH_LOSING = 3.0  # reads a frame from which on a lossy store is better than decoding each time

StoreForm = Literal["raw", "zstd", "jpeg"]
FORMS: tuple[StoreForm, ...] = ("raw", "zstd", "jpeg")
# Sizes against raw, of real camera frames (640x480); simulated ones are smaller.
USUAL_RATIOS: Mapping[str, float] = {"raw": 1.0, "zstd": 0.4, "jpeg": 0.08}
# One core, seconds a frame and seconds a pixel: decoding, and what the form adds to it.
FRAME_S = 6e-5
PIXEL_S = {"raw": 5.2e-9, "zstd": 9e-9, "jpeg": 8e-9}
DISK_BYTES_PER_S = 5e8


@dataclass(frozen=True)
class CameraFacts:
    """One camera of the episodes that a run needs.

    Attributes:
        frames: how many there are.
        shape: of a stored frame `(channels, height, width)`.
        item_bytes: bytes of one value: 1, for depth 2.
        ready: forms in which a complete store is there already.
        held: bytes that an unfinished store of a form has on the disk already.
        ratios: measured sizes against raw, where they are known; else the usual ones count.
        jpeg_error: measured mean difference of a jpeg store that is there, in steps of 255.
    """

    name: str
    frames: int
    shape: tuple[int, int, int]
    item_bytes: int = 1
    ready: frozenset[str] = frozenset()
    held: Mapping[str, int] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    jpeg_error: float | None = None

    @property
    def raw_bytes(self) -> int:
        channels, height, width = self.shape
        return self.frames * channels * height * width * self.item_bytes

    def bytes_as(self, form: str) -> int:
        """What a store of this form takes, about; depth is never jpeg."""
        form = "zstd" if form == "jpeg" and self.item_bytes > 1 else form
        return int(self.raw_bytes * self.ratios.get(form, USUAL_RATIOS[form]))


@dataclass(frozen=True)
class Facts:
    """What the choice depends on, besides the options.

    Attributes:
        folder: where stores go, for the sentences.
        free_disk, free_memory: bytes.
        disk_is_local: false for a network file system, which is no faster than decoding.
        reads: frames that the run will read, of all cameras and all processes on this machine; None for no limit.
        processes: processes of the run on this machine; each would have a memory of its own.
        cores: for the estimate of the time that building takes.
        resized: whether frames are stored in another size than the dataset's.
    """

    cameras: Sequence[CameraFacts]
    folder: str
    free_disk: int
    free_memory: int
    disk_is_local: bool = True
    reads: int | None = None
    processes: int = 1
    cores: int = 1
    resized: bool = False

    @property
    def frames(self) -> int:
        return sum(camera.frames for camera in self.cameras)

    @property
    def reads_a_frame(self) -> float:
        return float("inf") if self.reads is None else self.reads / max(1, self.frames)

    def bytes_as(self, form: str) -> int:
        """What the stores of all cameras take in this form, about."""
        return sum(camera.bytes_as(form) for camera in self.cameras)

    def missing_as(self, form: str) -> int:
        """What of that is not on the disk yet."""
        cameras = [camera for camera in self.cameras if form not in camera.ready]
        return sum(max(0, camera.bytes_as(form) - camera.held.get(form, 0)) for camera in cameras)

    def is_ready(self, form: str) -> bool:
        """Whether every camera has a complete store of this form."""
        return all(form in camera.ready for camera in self.cameras)

    def decoded_bytes(self) -> int:
        """Bytes of all frames as arrays in memory; depth is float32 there."""
        return sum(camera.raw_bytes * (2 if camera.item_bytes > 1 else 1) for camera in self.cameras)

    def build_seconds(self, form: str) -> float:
        """How long building takes, about."""
        seconds = self.missing_as(form) / DISK_BYTES_PER_S
        for camera in self.cameras:
            if form not in camera.ready:
                pixels = camera.shape[1] * camera.shape[2]
                seconds += camera.frames * (FRAME_S + PIXEL_S[form] * pixels) / max(1, self.cores)
        return seconds


@dataclass(frozen=True)
class Choice:
    """How frames are read.

    Attributes:
        form: a form of the store; video: decoded for each batch; memory: decoded once into this process.
        sentence: what was chosen, what it costs and why, for the user.
        bytes: what it takes, on the disk or in memory.
        builds: whether something must be decoded before the first batch.
        limit: most bytes that may be written.
    """

    form: Literal["raw", "zstd", "jpeg", "video", "memory"]
    sentence: str
    bytes: int = 0
    builds: bool = False
    limit: int = 0


def choose(
    facts: Facts,
    store: str = "auto",
    *,
    quality: int = 95,
    memory_gib: float | None = None,
    disk_gib: float | None = None,
) -> Choice:
    """The form that the frames take.

    Args:
        store: auto | raw | zstd | jpeg | video | off, as `--frames.store`.
        memory_gib, disk_gib: `--frames.memory_gib`, `--frames.disk_gib`.

    Raises:
        StorageError: the form that was asked for does not fit; nothing has been written.
    """
    if store == "video":
        return Choice("video", "frames: decoded from the videos for each batch, nothing is stored")
    if store == "off":
        return _without_a_store(facts, memory_gib)
    if store != "auto":
        return _explicit(facts, store, quality, disk_gib)
    return _automatic(facts, quality, memory_gib, disk_gib)


def _automatic(facts: Facts, quality: int, memory_gib: float | None, disk_gib: float | None) -> Choice:
    exact: tuple[StoreForm, ...] = ("raw", "zstd")
    for form in exact:
        if facts.is_ready(form):
            return _ready(facts, form, quality)
    if facts.reads_a_frame < WORTH_BUILDING:
        return Choice(
            "video",
            f"frames: decoded from the videos for each batch; the run reads {facts.reads} frames, and building a "
            f"store would decode {facts.frames}",
        )
    budget = _auto_budget(facts, disk_gib)
    pages = facts.free_memory * PAGE_CACHE_SHARE if memory_gib is None else memory_gib * GIB
    for form in exact:
        fits_pages = facts.bytes_as(form) <= pages
        if facts.missing_as(form) <= budget and (fits_pages or facts.disk_is_local):
            return _built(facts, form, quality, budget)
    if (kept := _in_memory(facts, memory_gib)) is not None:
        return kept
    return _last_resort(facts, quality, budget)


def _last_resort(facts: Facts, quality: int, budget: int) -> Choice:
    """No exact form fits: jpeg where it saves much decoding, else the videos."""
    sizes = f"raw takes {readable_bytes(facts.bytes_as('raw'))}, zstd {readable_bytes(facts.bytes_as('zstd'))}"
    why = f"{sizes}, and {_allowed(budget, facts)}"
    pays = facts.reads_a_frame >= WORTH_LOSING
    has_colour = any(camera.item_bytes == 1 for camera in facts.cameras)
    if has_colour and pays and facts.is_ready("jpeg"):
        choice = _ready(facts, "jpeg", quality)
    elif has_colour and pays and facts.missing_as("jpeg") <= budget:
        choice = _built(facts, "jpeg", quality, budget)
    else:
        return Choice("video", f"frames: decoded from the videos for each batch: {why}")
    exact = "to insist on exact frames: --frames.store=video"
    return replace(choice, sentence=f"{choice.sentence}. Exact forms do not fit: {why}; {exact}")


def _explicit(facts: Facts, form: str, quality: int, disk_gib: float | None) -> Choice:
    if facts.is_ready(form):
        return _ready(facts, form, quality)
    free = max(0, facts.free_disk - RESERVE)
    budget = free if disk_gib is None else min(free, int(disk_gib * GIB))
    missing = facts.missing_as(form)
    if missing <= budget:
        return _built(facts, form, quality, budget)
    limit = "" if disk_gib is None else f", and --frames.disk_gib allows {disk_gib:g} GiB"
    fitting = [
        f"--frames.store={other} ({readable_bytes(facts.missing_as(other))}{', lossy' if other == 'jpeg' else ''})"
        for other in FORMS
        if other != form and facts.missing_as(other) <= budget
    ]
    raise StorageError(
        f"--frames.store={form} needs {_about(form, missing)} for {_frames(facts)}; "
        f"{readable_bytes(facts.free_disk)} are free at {facts.folder}{limit}",
        hint=f"what fits: {', '.join([*fitting, '--frames.store=video (no disk)'])}; "
        "or another disk: --frames.path=FOLDER",
    )


def _without_a_store(facts: Facts, memory_gib: float | None) -> Choice:
    if facts.reads_a_frame < WORTH_BUILDING:
        return Choice("video", "frames: decoded for each batch; the run is too short to decode all of them first")
    kept = _in_memory(facts, memory_gib)
    if kept is not None:
        return kept
    needed = facts.decoded_bytes() * facts.processes
    return Choice(
        "video",
        f"frames: decoded for each batch; in memory they would take {readable_bytes(needed)}, and "
        f"{readable_bytes(_memory_budget(facts, memory_gib))} may be used (--frames.memory_gib)",
    )


def _in_memory(facts: Facts, memory_gib: float | None) -> Choice | None:
    needed = facts.decoded_bytes()
    if needed * facts.processes > _memory_budget(facts, memory_gib):
        return None
    sentence = f"frames: decoded once into memory ({readable_bytes(needed)}), nothing is stored"
    return Choice("memory", sentence, needed, builds=True)


def _memory_budget(facts: Facts, memory_gib: float | None) -> int:
    if memory_gib is not None:
        return min(int(memory_gib * GIB), facts.free_memory)
    return int(facts.free_memory * MEMORY_SHARE)


def _auto_budget(facts: Facts, disk_gib: float | None) -> int:
    most = int(facts.free_disk * AUTO_DISK_SHARE)
    if disk_gib is not None:
        most = min(most, int(disk_gib * GIB))
    return max(0, min(most, facts.free_disk - LEFT_FREE))


def _ready(facts: Facts, form: str, quality: int) -> Choice:
    size = facts.bytes_as(form)
    sentence = f"frames: {_named(facts, form, quality)} at {facts.folder}, already there ({_about(form, size)})"
    return Choice(form, sentence, size)  # type: ignore[arg-type]


def _built(facts: Facts, form: str, quality: int, budget: int) -> Choice:
    missing, size = facts.missing_as(form), facts.bytes_as(form)
    there = f", {readable_bytes(size - missing)} of it already there" if missing < size else ""
    sentence = (
        f"frames: {_named(facts, form, quality)} of {_frames(facts)} at {facts.folder}, {_about(form, size)}{there} "
        f"({_allowed(budget, facts)}), built once in about {_duration(facts.build_seconds(form))}"
    )
    return Choice(form, sentence, size, builds=True, limit=budget)  # type: ignore[arg-type]


def _named(facts: Facts, form: str, quality: int) -> str:
    kinds = {"raw": "raw store", "zstd": "zstd store", "jpeg": f"jpeg store of quality {quality}"}
    size = ""
    if facts.resized:
        _, height, width = facts.cameras[0].shape
        size = f" resized to {width}x{height}"
    if form != "jpeg":
        return f"{kinds[form]}{size}" + ("" if facts.resized else " (exact)")
    return f"{kinds[form]}{size} (lossy: {_loss(facts, quality)})"


def _loss(facts: Facts, quality: int) -> str:
    measured = [camera.jpeg_error for camera in facts.cameras if camera.jpeg_error is not None]
    if measured:
        return f"values differ by {max(measured):.2f} of 255 on average, measured"
    usual = "by about 1 of 255 on average" if quality >= 95 else "more, the lower the quality"
    return f"values differ {usual}, measured while it is built"


def _about(form: str, size: int) -> str:
    return readable_bytes(size) if form == "raw" else f"about {readable_bytes(size)}"


def _allowed(budget: int, facts: Facts) -> str:
    return f"{readable_bytes(budget)} of {readable_bytes(facts.free_disk)} free may be used"


def _frames(facts: Facts) -> str:
    cameras = len(facts.cameras)
    return f"{facts.frames} frames of {cameras} camera{'' if cameras == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def readable_bytes(count: float) -> str:
    """`1.5 GiB`, `12 MiB`."""
    if count >= 2**40:
        return f"{count / 2**40:.1f} TiB"
    if count >= GIB:
        return f"{count / GIB:.1f} GiB"
    return f"{max(1, round(count / 2**20))} MiB" if count else "0 MiB"
