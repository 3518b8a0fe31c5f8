"""Samples/s of our data path against LeRobot's best setting.

    python benchmarks/data_loading.py [--set pusht] [--batch-size 8] [--cold] [--device cuda] [--json FILE]

Both systems give the same uint8 batches in the same order; the first batch of each is compared, bit by bit (JPEG:
by its mean error). LeRobot's loader is measured with every number of workers and both video backends; the best is
then measured in turn with each form of our frame store: theirs, ours, theirs, ours, … A ratio is the median over
the rounds. With --cold the store is dropped from the page cache first, and the first seconds are measured.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lerobot_settings
import options
import page_cache
import policies
import sets
from batch_equality import compare
from children import script
from lerobot_settings import Setting
from loader_process import LoaderProcess

JPEG_LIMIT = 3.0  # mean error of a picture, in steps of 0..255
STEPS = 10**8  # a run so long that every choice of ours is made for the long run


@dataclass(frozen=True)
class Case:
    """A set with a policy's windows.

    Attributes:
        forms: how the frame store keeps the frames, and the ratio demanded (on a CPU, on a GPU machine).
    """

    set_name: str
    policy: str
    forms: dict[str, tuple[float, float] | None]


CASES = [
    Case("pusht", "act-small", {"raw": (100, 100)}),
    Case("pusht", "diffusion-small", {"raw": (100, 100)}),
    Case("cr5", "act-small", {"raw": (20, 20), "zstd": None, "jpeg": (5, 10), "video": None}),
    Case("three-cameras", "act-small", {"raw": (10, 20), "zstd": None, "jpeg": None}),
]
COLUMNS = ["set", "policy", "batch", "store", "setting", "lerobot", "etude", "ratio", "demanded", "met", "batches"]


def common_flags(case: Case, batch_size: int, device: str) -> list[str]:
    """Flags that both systems take."""
    return [
        *sets.find(case.set_name).flags,
        *policies.flags(case.policy, device),
        f"--batch_size={batch_size}",
        f"--steps={STEPS}",
        "--seed=1000",
    ]


def etude_loader(flags: list[str], form: str, first: Path | None = None) -> LoaderProcess:
    """Our loader with a form of the store, not yet started; it builds the store if need be."""
    where = ["--first", str(first)] if first else []
    return LoaderProcess(script("etude_loading.py", *where, *flags, f"--frames.store={form}"))


def measure_case(case: Case, batch_size: int, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for each form of the store."""
    flags = common_flags(case, batch_size, arguments.device)
    seconds, rounds = (1.0, 2) if arguments.quick else (arguments.seconds, arguments.rounds)
    print(f"{case.set_name}, {case.policy}, batch {batch_size}", file=sys.stderr, flush=True)
    setting = arguments.lerobot
    tried: dict[Setting, float] = {}
    if setting is None:
        tried = lerobot_settings.sweep(flags, seconds, quick=arguments.quick)
        setting = lerobot_settings.best(tried)
    rates: dict[str, list[tuple[float, float]]] = {form: [] for form in case.forms}
    theirs_first = folder / "lerobot.pt"
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(lerobot_settings.loader(flags, setting, theirs_first))
        ours = {form: stack.enter_context(etude_loader(flags, form, folder / f"{form}.pt")) for form in case.forms}
        for loader in (theirs, *ours.values()):
            loader.measure(seconds)  # both warm
        for _ in range(rounds):
            for form, loader in ours.items():
                reference = theirs.measure(seconds).samples_per_s
                rates[form].append((reference, loader.measure(seconds).samples_per_s))
    rows = []
    for form, pairs in rates.items():
        row: dict[str, Any] = {"set": case.set_name, "policy": case.policy, "batch": batch_size, "store": form}
        row |= {"setting": str(setting), "tried": {str(key): value for key, value in tried.items()}}
        row |= {"notes": ours[form].about["notes"]}
        row |= _figures(pairs, case.forms[form], arguments.device) | _equality(folder, form, theirs_first)
        if arguments.cold:
            row |= _cold(flags, form, row["lerobot"], seconds, rounds)
        rows.append(row)
    return rows


def _figures(pairs: list[tuple[float, float]], demanded: tuple[float, float] | None, device: str) -> dict[str, Any]:
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    figures = {
        "lerobot": statistics.median(theirs for theirs, _ in pairs),
        "etude": statistics.median(ours for _, ours in pairs),
        "ratio": ratio,
        "rounds": pairs,
    }
    if demanded is not None:
        limit = demanded[device == "cuda"]
        figures |= {"demanded": limit, "met": ratio >= limit}
    return figures


def _equality(folder: Path, form: str, theirs: Path) -> dict[str, Any]:
    found = compare(folder / f"{form}.pt", theirs)
    if found.identical:
        return {"batches": "identical", "equal": True}
    if form == "jpeg" and found.same_but_for_pictures(JPEG_LIMIT):
        return {"batches": f"mean error {max(found.pictures.values()):.2f}/255", "equal": True}
    return {"batches": f"DIFFER {found.missing + found.unequal or found.pictures}", "equal": False}


def _cold(flags: list[str], form: str, lerobot: float, seconds: float, rounds: int) -> dict[str, float]:
    """Samples/s of the first seconds after the store was dropped from memory; against LeRobot's warm figure."""
    found = []
    for _ in range(rounds):
        page_cache.drop(sets.CACHE / "frames")
        with etude_loader(flags, form) as process:
            found.append(process.measure(seconds, discard=False).samples_per_s)
    return {"cold": statistics.median(found), "cold ratio": statistics.median(found) / lerobot}


def main() -> int:
    """Measure; exit code 1 when batches differ or a figure demanded is missed."""
    parser = options.parser(__doc__)
    parser.add_argument("--batch-size", type=int, action="append", help="8 and 64 unless given (can be repeated)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="measure reading from the disk, too")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for case in CASES:
        if arguments.set and case.set_name not in arguments.set:
            continue
        for batch_size in arguments.batch_size or (8, 64):
            with tempfile.TemporaryDirectory() as folder:
                rows += measure_case(case, batch_size, arguments, Path(folder))
    options.print_table(rows, [*COLUMNS, *(["cold", "cold ratio"] if arguments.cold else [])])
    options.write_json(arguments.json, arguments.device, rows)
    return int(not all(row["equal"] and row.get("met", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
