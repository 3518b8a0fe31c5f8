"""Does `etude evaluate` roll a policy out faster than `lerobot-eval`, at every setting?

    python benchmarks/evaluation_speed.py [--policy act] [--policy diffusion] [--settings 1x1,4x1,4x2,16x1,16x2]
        [--videos 0,4] [--episodes 16] [--rounds 3] [--commands] [--device cpu|cuda] [--json FILE]

An untrained policy on PushT, so that every episode lasts its 300 steps. Both sides start from the same seeds, see
pictures of the same size and film the same number of episodes; with ACT their rewards have to agree. A setting is
ENVIRONMENTSxPROCESSES; for LeRobot, more than one process means its asynchronous environments (one process each).
In each round both play every setting, in turn. `s` is the time for all episodes, making and closing the
environments included; `cpu s` the processor time of all processes. `--commands` times whole commands as well, from
the shell to the written result.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from loss_parity import DATA, POLICIES

HERE = Path(__file__).resolve().parent
SIDES = ("lerobot", "etude")
SEED = 1000
# Few denoising steps: all of them would measure the network alone.
SHORT = {"diffusion": ["--policy.noise_scheduler_type=DDIM", "--policy.num_inference_steps=10"]}


class Meter(threading.Thread):
    """Processor seconds of a process and its descendants, those that have ended included."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root, self._done = psutil.Process(pid), threading.Event()
        self._seen: dict[int, float] = {}
        self.start()

    def run(self) -> None:
        while not self._done.wait(0.05):
            self.look()

    def look(self) -> float:
        """The sum so far; what a process does between the last look and its end is missed."""
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self._seen[process.pid] = times.user + times.system
        return sum(self._seen.values())

    def stop(self) -> None:
        self._done.set()
        self.join()


class Server:
    """One side, alive in a process of its own."""

    def __init__(self, side: str, checkpoint: Path, device: str, log: Path) -> None:
        self._log = log
        command = [sys.executable, str(HERE / "evaluation_server.py"), side, str(checkpoint), device]
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment()
            )
        self._answer()
        self._meter = Meter(self._process.pid)

    def play(self, setting: dict[str, int]) -> dict[str, Any]:
        """Roll out one setting."""
        assert self._process.stdin is not None
        before = self._meter.look()
        self._process.stdin.write(json.dumps(setting) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return {**answer, "cpu_s": self._meter.look() - before}

    def close(self) -> None:
        assert self._process.stdin is not None
        self._meter.stop()
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the server ended:\n{self._log.read_text()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def make_checkpoint(policy: str, folder: Path) -> Path:
    """A policy after one step of training: its weights do not matter, its statistics do."""
    flags = [*POLICIES[policy], *SHORT.get(policy, []), "--dataset.repo_id=pusht/human"]
    flags += [f"--dataset.root={DATA / 'pusht-human'}", "--policy.device=cpu", "--policy.push_to_hub=false"]
    flags += ["--policy.pretrained_backbone_weights=null", "--num_workers=0", "--steps=1", "--batch_size=2"]
    run([sys.executable, "-m", "etude.cli", "train", *flags, "--mlflow.enable=false", f"--output_dir={folder}"])
    return (folder / "checkpoints" / "last" / "pretrained_model").resolve()


def run(command: list[str]) -> tuple[float, float]:
    """Run a command; its wall time and the processor time of its processes, seconds."""
    started, before = time.perf_counter(), _spent_by_children()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return time.perf_counter() - started, _spent_by_children() - before


def _spent_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    paths = [str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]  # for `lerobot_pusht`
    return {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def rollouts(policy: str, checkpoint: Path, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """All settings of one policy, on both sides, round after round."""
    settings = [
        {"environments": environments, "processes": processes, "videos": videos, "episodes": arguments.episodes}
        for environments, processes in arguments.settings
        for videos in arguments.videos
    ]
    servers = {side: Server(side, checkpoint, arguments.device, folder / f"{policy}-{side}.log") for side in SIDES}
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for server in servers.values():  # the first rollout of a process compiles, allocates and imports
        server.play({"environments": 2, "processes": 1, "videos": 1, "episodes": 2, "seed": SEED})
    for number in range(arguments.rounds):
        for index, setting in enumerate(settings):
            for side in SIDES if (number + index) % 2 else reversed(SIDES):
                found.setdefault((index, side), []).append(servers[side].play({**setting, "seed": SEED}))
    for server in servers.values():
        server.close()
    rows = []
    for index, setting in enumerate(settings):
        theirs, ours = found[index, "lerobot"], found[index, "etude"]
        check_equal_work(policy, theirs[0], ours[0])
        rows.append({"policy": policy, **setting, **_compared(theirs, ours)})
        print(row_of(rows[-1]), flush=True)
    return rows


def check_equal_work(policy: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """The same number of steps and videos; the same rewards, where the policy does not sample."""
    assert ours["steps"] == theirs["steps"], (ours["steps"], theirs["steps"])
    assert ours["videos"] == theirs["videos"], (ours["videos"], theirs["videos"])
    if policy == "act":
        apart = max(abs(a - b) for a, b in zip(ours["rewards"], theirs["rewards"], strict=True))
        assert apart < 1e-2, f"rewards differ by {apart}"


def _compared(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"steps": ours[0]["steps"]}
    for key in ("wall_s", "cpu_s"):
        figures[key] = _pair([statistics.median(answer[key] for answer in answers) for answers in (theirs, ours)])
    return figures


def _pair(medians: list[float]) -> dict[str, float]:
    theirs, ours = medians
    return {"lerobot": round(theirs, 3), "etude": round(ours, 3), "times": round(theirs / ours, 2)}


HEADER = (
    f"{'policy':<10}{'envs':>5}{'procs':>6}{'videos':>7}"
    f"{'lerobot s':>11}{'etude s':>9}{'times':>7}{'steps/s':>9}"
    f"{'lerobot cpu s':>15}{'etude cpu s':>13}{'times':>7}"
)


def row_of(row: dict[str, Any]) -> str:
    """One line of the table."""
    wall, cpu = row["wall_s"], row["cpu_s"]
    return (
        f"{row['policy']:<10}{row['environments']:>5}{row['processes']:>6}{row['videos']:>7}"
        f"{wall['lerobot']:>11.2f}{wall['etude']:>9.2f}{wall['times']:>7.2f}{row['steps'] / wall['etude']:>9.0f}"
        f"{cpu['lerobot']:>15.2f}{cpu['etude']:>13.2f}{cpu['times']:>7.2f}"
    )


def commands(policy: str, checkpoint: Path, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Whole commands, both with their own choice of environments and processes, and with one environment."""
    videos = min(10, arguments.episodes)  # lerobot-eval films as many, and cannot be told otherwise
    rows = []
    for name, size in (("defaults", []), ("one environment", ["--eval.batch_size=1"])):
        shared = [f"--policy.path={checkpoint}", "--env.type=pusht", f"--policy.device={arguments.device}"]
        shared += [f"--eval.n_episodes={arguments.episodes}", f"--seed={SEED}", *size]
        times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        for number in range(arguments.rounds):
            lerobot = ["-c", "from lerobot.scripts.lerobot_eval import main; main()", *shared]
            lerobot += ["--env.visualization_width=480", "--env.visualization_height=480"]
            etude = ["-m", "etude.cli", "evaluate", *shared, f"--videos={videos}"]
            sides = {"lerobot": lerobot, "etude": etude}
            for side in SIDES if number % 2 else reversed(SIDES):
                place = f"--output_dir={folder / f'{policy}-{side}-{name[:3]}-{number}'}"
                times[side].append(run([sys.executable, *sides[side], place]))
        wall, cpu = ([statistics.median(both[k] for both in times[side]) for side in SIDES] for k in (0, 1))
        rows.append({"policy": policy, "command": name, "wall_s": _pair(wall), "cpu_s": _pair(cpu)})
        print(
            f"{policy:<10}whole command, {name}: lerobot {wall[0]:.1f} s, etude {wall[1]:.1f} s, "
            f"{wall[0] / wall[1]:.2f} times; cpu {cpu[0]:.1f} s, {cpu[1]:.1f} s, {cpu[0] / cpu[1]:.2f} times",
            flush=True,
        )
    return rows


def _pairs(text: str) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in (pair.split("x") for pair in text.split(","))]


def main() -> int:
    """Measure what was asked for; exit code 1 when LeRobot is faster anywhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    several = max(2, min(os.cpu_count() or 2, 16))
    every = f"1x1,4x1,4x{min(4, several)},16x1,16x{several}"
    parser.add_argument("--policy", action="append", choices=sorted(POLICIES))
    parser.add_argument(
        "--checkpoint", action="append", default=[], metavar="POLICY=PATH", help="instead of making one"
    )
    parser.add_argument("--settings", type=_pairs, default=_pairs(every), help=f"(default: {every})")
    parser.add_argument("--videos", type=lambda text: [int(number) for number in text.split(",")], default=[0, 4])
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--commands", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    checkpoints = dict(given.split("=", 1) for given in arguments.checkpoint)
    found: dict[str, list[dict[str, Any]]] = {"rollouts": [], "commands": []}
    with tempfile.TemporaryDirectory() as temporary:
        print(HEADER)
        for policy in arguments.policy or sorted(POLICIES):
            folder = Path(temporary) / policy
            folder.mkdir()
            given = checkpoints.get(policy)
            checkpoint = Path(given).resolve() if given else make_checkpoint(policy, folder / "train")
            found["rollouts"] += rollouts(policy, checkpoint, arguments, folder)
            if arguments.commands:
                found["commands"] += commands(policy, checkpoint, arguments, folder)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))
    return int(any(row["wall_s"]["times"] < 1 for row in found["rollouts"] + found["commands"]))


if __name__ == "__main__":
    sys.exit(main())
