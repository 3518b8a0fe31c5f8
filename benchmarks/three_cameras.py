"""Writes the set with three cameras: LeRobot's own writer, its default codec, moving textured pictures with noise.

    python benchmarks/three_cameras.py ROOT [--episodes 10]

One camera on a tripod above, one at the side, one that moves as on a wrist; 480x640 at 30 Hz. The folder appears
only when all of it is written.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from moving_pictures import Scene

FPS = 30
SHAPE = (480, 640)
CAMERAS = {"observation.images.top": 0.0, "observation.images.side": 0.0, "observation.images.wrist": 40.0}
LENGTHS = (100, 200)  # frames of an episode, from and to
JOINTS = 7


def write(root: Path, episodes: int) -> int:
    """Write the set; returns its frames a camera."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    cameras = {
        key: {"dtype": "video", "shape": (*SHAPE, 3), "names": ["height", "width", "channels"]} for key in CAMERAS
    }
    joints = {"dtype": "float32", "shape": (JOINTS,), "names": [f"joint_{index}" for index in range(JOINTS)]}
    dataset = LeRobotDataset.create(
        repo_id="benchmark/three-cameras",
        fps=FPS,
        features={**cameras, "observation.state": joints, "action": joints},
        root=root,
        streaming_encoding=True,  # the same codec without a PNG for each frame on the way
        encoder_queue_maxsize=100_000,
    )
    random = np.random.default_rng(0)
    for episode in range(episodes):
        scenes = {key: Scene(100 * episode + place, SHAPE, sway) for place, (key, sway) in enumerate(CAMERAS.items())}
        walk = np.cumsum(random.normal(0, 0.02, (LENGTHS[1] + 1, JOINTS)), axis=0).astype(np.float32)
        for step in range(int(random.integers(*LENGTHS))):
            pictures = {key: scene.frame(step / FPS) for key, scene in scenes.items()}
            dataset.add_frame(
                {**pictures, "observation.state": walk[step], "action": walk[step + 1], "task": "move things"}
            )
        dataset.save_episode()
    dataset.finalize()
    return int(dataset.num_frames)


def main() -> int:
    """Write it under a temporary name, then rename."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--episodes", type=int, default=10)
    arguments = parser.parse_args()
    root: Path = arguments.root
    temporary = root.with_name(f"{root.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    frames = write(temporary, arguments.episodes)
    temporary.rename(root)
    videos = sum(file.stat().st_size for file in root.rglob("*.mp4"))
    raw = frames * len(CAMERAS) * SHAPE[0] * SHAPE[1] * 3
    print(
        f"{root}: {arguments.episodes} episodes, {frames} frames from each of {len(CAMERAS)} cameras; "
        f"videos {videos / 2**20:.0f} MiB, {raw / 2**30:.1f} GiB decoded; written in {time.monotonic() - began:.0f} s",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
