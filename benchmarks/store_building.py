"""Seconds to build the frame store against `ffmpeg -f null` decoding the same files on the same cores.

    python benchmarks/store_building.py [--set cr5] [--form raw] [--rounds 5] [--json FILE]

ffmpeg decodes and throws the frames away: the least that any store costs. It runs in two ways, file by file with
its own threads, and all files at once (as many at a time as there are cores); the faster counts. Ours includes the
start of the worker processes, checksums, and a comparison with LeRobot's decoder; it ends when a training can read the
store, which is deleted before each round. The figure demanded is for raw frames. "synced_s" is the time until the last
byte is on the disk, too (a training does not wait for it), and "disk_s" what this disk takes to write as many bytes
and nothing else. The systems take turns.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import options
import sets

from etude.data.frames.settling import settle
from etude.data.frames.store import FrameStore

FormName = Literal["raw", "zstd", "jpeg"]
COLUMNS = [
    "set",
    "store",
    "frames",
    "etude_s",
    "ffmpeg_s",
    "ffmpeg",
    "synced_s",
    "disk_s",
    "ratio",
    "demanded",
    "met",
    "store_gib",
    "cpu_s",
]
DEMANDED = 0.9
BLOCK = 8 << 20
FORMS: tuple[FormName, ...] = ("raw", "zstd", "jpeg")


def decode_with_ffmpeg(files: list[Path], at_once: int) -> None:
    """Decode files and throw the frames away."""

    def decode(file: Path) -> None:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(file), "-f", "null", "-"]
        subprocess.run(command, check=True)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(decode, files))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and processor seconds of the children that ended."""
    began, cpu_began = time.perf_counter(), os.times()
    work()
    wall_s, cpu = time.perf_counter() - began, os.times()
    used = [cpu.children_user - cpu_began.children_user, cpu.children_system - cpu_began.children_system]
    return wall_s, sum(used) + cpu.user - cpu_began.user + cpu.system - cpu_began.system


def write_bytes(file: Path, total: int) -> None:
    """Write so many bytes, down to the disk, and remove them."""
    block = os.urandom(BLOCK)
    with open(file, "wb", buffering=0) as target:
        for _ in range(-(-total // BLOCK)):
            target.write(block)
        os.fsync(target.fileno())
    file.unlink()


@dataclass
class Times:
    """Seconds, a figure each round.

    Attributes:
        etude: wall and processor time of the build.
        synced: wall time until the store is on the disk.
        ffmpeg: of each way to run it.
        disk: to write the store's bytes.
    """

    etude: list[tuple[float, float]] = field(default_factory=list)
    synced: list[float] = field(default_factory=list)
    ffmpeg: dict[str, list[float]] = field(default_factory=dict)
    disk: list[float] = field(default_factory=list)


def take_turns(
    build_it: Callable[[], dict[str, FrameStore]], files: list[Path], cache: Path, rounds: int
) -> tuple[Times, int]:
    """What each took, and the store's bytes."""
    at_once = {"file by file": 1, "all at once": min(len(os.sched_getaffinity(0)), len(files))}
    ways = {way: count for way, count in at_once.items() if way == "file by file" or count > 1}
    times, store_bytes = Times(ffmpeg={way: [] for way in ways}), 0
    stores: dict[str, FrameStore] = {}
    for number in range(rounds + 1):  # the first reads files and code from the disk, and is not counted
        decode_s = {way: timed(partial(decode_with_ffmpeg, files, count))[0] for way, count in ways.items()}
        began = time.perf_counter()
        build_s = timed(lambda: stores.update(build_it()))
        settle(shard for store in stores.values() for shard in store.placed_shards())
        synced_s = time.perf_counter() - began
        store_bytes = sum(file.stat().st_size for file in cache.rglob("*.frames"))
        shutil.rmtree(cache)
        os.sync()  # what this round wrote must not slow the next down
        write_s, _ = timed(partial(write_bytes, cache.with_suffix(".bytes"), store_bytes))
        os.sync()
        if number:
            times.etude.append(build_s)
            times.synced.append(synced_s)
            times.disk.append(write_s)
            for way, seconds in decode_s.items():
                times.ffmpeg[way].append(seconds)
    return times, store_bytes


def measure(name: str, form: FormName, cache: Path, rounds: int) -> dict[str, Any]:
    """The row of a set and a form."""
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
    from lerobot.utils.import_utils import get_safe_default_video_backend

    from etude.data.frames.build import build_stores
    from etude.data.frames.forms import Form
    from etude.data.sources import fingerprint

    data = sets.find(name)
    meta = LeRobotDatasetMetadata(data.repo_id, root=data.root)
    # As `etude train` calls it; it compares a few frames with those of LeRobot's decoder.
    build_it = partial(
        build_stores,
        meta,
        fingerprint(data.root),
        data.cameras,
        Form(form),
        cache=cache,
        video_backend=get_safe_default_video_backend(),
    )
    times, store_bytes = take_turns(build_it, data.videos, cache, rounds)
    etude_s, cpu_s = (statistics.median(part) for part in zip(*times.etude, strict=True))
    way = min(times.ffmpeg, key=lambda item: statistics.median(times.ffmpeg[item]))
    ffmpeg_s = statistics.median(times.ffmpeg[way])
    row: dict[str, Any] = {"set": name, "store": form, "frames": meta.total_frames * len(data.cameras)}
    row |= {"etude_s": etude_s, "cpu_s": cpu_s, "store_gib": store_bytes / 2**30}
    row |= {"ffmpeg_s": ffmpeg_s, "ffmpeg": way, "ratio": ffmpeg_s / etude_s}
    row |= {
        "synced_s": statistics.median(times.synced),
        "disk_s": statistics.median(times.disk),
        "rounds": asdict(times),
    }
    return row | ({"demanded": DEMANDED, "met": row["ratio"] >= DEMANDED} if form == "raw" else {})


def main() -> int:
    """Measure; exit code 1 when building raw frames is slower than demanded."""
    parser = options.parser(__doc__)
    parser.add_argument("--form", action="append", choices=FORMS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is not on the PATH")
    rows = []
    sets.CACHE.mkdir(parents=True, exist_ok=True)
    for name in arguments.set or sets.NAMES:
        for form in arguments.form or FORMS:
            print(f"{name}, {form}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=sets.CACHE) as folder:
                rows.append(measure(name, form, Path(folder) / "frames", 1 if arguments.quick else arguments.rounds))
    options.print_table(rows, COLUMNS)
    options.write_json(arguments.json, arguments.device, rows)
    return int(not all(row.get("met", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
