"""What tracking costs a run: the same work under each kind of server, against no tracking at all.

    python benchmarks/tracking_cost.py [--steps 400] [--rounds 5] [--uri http://host:5000] [--json]

Each round runs every arm once, in random order, for the same number of steps of plain arithmetic; points are
logged every tenth step. An arm's couriers have started up before its clock starts (`--cold` includes that).
Three measures, because the first needs an otherwise idle machine:

    lost %       median over rounds of an arm's time over the null tracker's in the same round, minus one
    calls %      share of the run spent inside the tracker's calls
    courier %    processor time of the couriers, in percent of one core (they run at low priority)
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from etude.config.options import MlflowOptions
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord
from etude.tracking import NullTracker, Tracker, TrackingSettings, open_tracking

LOG_EVERY = 10
METRICS = 12


def step_of_work() -> float:
    """About 10 ms of arithmetic that holds the interpreter, the worst case for a thread beside it."""
    total = 0.0
    for i in range(100_000):
        total += i * 0.5
    return total


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        kept = []

        def accept() -> None:
            try:
                while True:
                    kept.append(listener.accept())
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def open_arm(uri: str | None, folder: Path) -> Tracker:
    if uri is None:
        return NullTracker()
    run = RunFolder.create(folder)
    manifest = RunManifest("imitation", folder.name, [], {})
    settings = TrackingSettings(MlflowOptions(tracking_uri=uri), system_metrics_interval_s=1.0, close_timeout_s=1.0)
    return open_tracking(run, settings, manifest, {"steps": 1})


def courier_cpu_s() -> float:
    """Processor time that the couriers have used so far, seconds."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            used = child.cpu_times()
            total += used.user + used.system
    return total


def settle(limit_s: float) -> None:
    """Wait until the couriers have been idle for some seconds: their imports are over."""
    deadline, quiet_since, used = time.monotonic() + limit_s, time.monotonic(), courier_cpu_s()
    while time.monotonic() < deadline and time.monotonic() - quiet_since < 5.0:
        time.sleep(0.5)
        now = courier_cpu_s()
        if now - used > 0.05:
            quiet_since = time.monotonic()
        used = now


def measure(arm: Callable[[], Tracker], steps: int, settle_s: float) -> dict[str, float]:
    began = time.perf_counter()
    tracker = arm()
    opened = time.perf_counter()
    tracker.log(MetricRecord(0, time.time(), {"train/loss": 1.0}))
    if settle_s:
        settle(settle_s)
    courier_began = courier_cpu_s()
    start, calls = time.perf_counter(), []
    for step in range(1, steps + 1):
        step_of_work()
        if step % LOG_EVERY == 0:
            called = time.perf_counter()
            tracker.at_step(step)
            tracker.log(MetricRecord(step, time.time(), {f"train/m{i}": step + i / 7 for i in range(METRICS)}))
            calls.append(time.perf_counter() - called)
    end = time.perf_counter()
    courier_s = courier_cpu_s() - courier_began
    tracker.close("finished")
    return {
        "run_s": end - start,
        "open_s": opened - began,
        "close_s": time.perf_counter() - end,
        "calls_percent": 100 * sum(calls) / (end - start),
        "courier_percent": 100 * courier_s / (end - start),
        "log_us": statistics.median(calls) * 1e6,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uri", help="a healthy MLflow server to measure too")
    parser.add_argument("--cold", action="store_true", help="include the couriers' start")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, silent_server() as silent:
        root = Path(folder)
        uris = {"null": None, "sqlite": f"sqlite:///{root / 'mlflow.db'}", "hanging": silent}
        uris["dead"] = "http://127.0.0.1:9"
        if arguments.uri:
            uris["server"] = arguments.uri
        rounds = []
        for number in range(arguments.rounds):
            found = {}
            for name in random.sample(sorted(uris), len(uris)):
                place = root / f"{name}-{number}"
                settle_s = 0.0 if arguments.cold or name == "null" else 90.0
                found[name] = measure(lambda uri=uris[name], at=place: open_arm(uri, at), arguments.steps, settle_s)
                print(f"round {number + 1}: {name} {found[name]['run_s']:.2f} s", file=sys.stderr)
            rounds.append(found)
    rows = {name: summary(name, rounds) for name in uris}
    if arguments.json:
        print(json.dumps({"steps": arguments.steps, "rounds": arguments.rounds, "arms": rows}, indent=2))
        return 0
    columns = ("run_s", "lost_percent", "calls_percent", "courier_percent", "log_us", "open_s", "close_s")
    print(f"{'tracker':<10}" + "".join(f"{name.replace('_percent', ' %'):>11}" for name in columns))
    for name, row in rows.items():
        print(f"{name:<10}" + "".join(f"{row[column]:>11.3f}" for column in columns))
    return 0


def summary(name: str, rounds: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    medians = {key: statistics.median(found[name][key] for found in rounds) for key in rounds[0][name]}
    lost = statistics.median(found[name]["run_s"] / found["null"]["run_s"] for found in rounds) - 1
    return {**medians, "lost_percent": 100 * lost}


if __name__ == "__main__":
    sys.exit(main())
