"""What jobs run in these tests, instead of a training: `python -m acting STEP...`, each step one thing that jobs do.

say=TEXT, sleep=SECONDS, write=FILE:TEXT, show=VARIABLE, length=VARIABLE, exit=CODE, lines=COUNT, die (SIGKILL),
wait (until SIGTERM, then say so and exit 0), checkpoint=FOLDER (what a training leaves).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def main(steps: list[str]) -> int:
    """Do the steps, in order."""
    for step in steps:
        what, _, value = step.partition("=")
        if what == "say":
            print(value, flush=True)
        elif what == "sleep":
            time.sleep(float(value))
        elif what == "write":
            file, _, text = value.partition(":")
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(text)
        elif what == "show":
            print(f"{value}={os.environ.get(value)}", flush=True)
        elif what == "length":
            print(f"{value} has {len(os.environ[value])} characters", flush=True)
        elif what == "exit":
            return int(value)
        elif what == "lines":
            for number in range(int(value)):
                print(f"line {number} " + "x" * (number % 50), flush=number % 7 == 0)
        elif what == "wait":
            _wait()
        elif what == "checkpoint":
            folder = Path(value)
            (folder / "pretrained_model").mkdir(parents=True)
            (folder / "pretrained_model" / "model.safetensors").write_bytes(os.urandom(1000))
            last = folder.parent / "last"
            last.unlink(missing_ok=True)
            last.symlink_to(folder.name)
        elif what == "die":
            print("dying", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise SystemExit(f"unknown step {step}")
    return 0


def _wait() -> None:
    def stop(*_: object) -> None:
        print("asked to stop: saving", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print("waiting", flush=True)
    time.sleep(300)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
