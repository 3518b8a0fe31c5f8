"""Copies of real demonstrations to break, and a small dataset with pictures in its tables."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROWS = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


class Copy:
    """A dataset that may be edited."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def table(self, edit: Callable[[pa.Table], pa.Table], file: str = ROWS) -> None:
        path = self.root / file
        pq.write_table(edit(pq.read_table(path)), path)

    def column(self, name: str, edit: Callable[[np.ndarray], Any], file: str = ROWS) -> None:
        """Change a column in place: `edit` gets it as a writable array of rows."""

        def replaced(table: pa.Table) -> pa.Table:
            values = np.array(table[name].to_pylist())
            changed = edit(values)
            values = values if changed is None else changed
            kind = table.schema.field(name).type
            array = pa.array(values.tolist(), type=kind)
            return table.set_column(table.schema.get_field_index(name), name, array)

        self.table(replaced, file)

    def json(self, file: str, edit: Callable[[Any], Any]) -> None:
        path = self.root / file
        value = json.loads(path.read_text())
        changed = edit(value)
        path.write_text(json.dumps(value if changed is None else changed))


def copied(source: Path, target: Path) -> Copy:
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Copy(target)


def png(values: np.ndarray) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def picture_set(root: Path) -> Copy:
    """3 episodes of 30 frames at 10 Hz, two cameras whose pictures lie in the table, no video."""
    episodes, length = 3, 30
    rows = episodes * length
    random = np.random.default_rng(0)
    frame = np.tile(np.arange(length), episodes)
    state = np.stack([np.sin(frame / 5), np.cos(frame / 7)], axis=1).astype(np.float32)
    views = random.integers(0, 255, (rows, 12, 16, 3), dtype=np.uint8)
    depth = random.integers(0, 65535, (rows, 12, 16), dtype=np.uint16)
    columns = {
        "observation.images.front": pa.array([png(view) for view in views]),
        "observation.images.depth": pa.array([png(view) for view in depth]),
        "observation.state": pa.array(state.tolist(), pa.list_(pa.float32(), 2)),
        "action": pa.array((state + 0.1).tolist(), pa.list_(pa.float32(), 2)),
        "observation.grid": pa.array(random.random((rows, 2, 3)).tolist(), pa.list_(pa.list_(pa.float32()))),
        "timestamp": pa.array((frame / 10).astype(np.float32)),
        "frame_index": pa.array(frame),
        "episode_index": pa.array(np.repeat(np.arange(episodes), length)),
        "index": pa.array(np.arange(rows)),
        "task_index": pa.array(np.zeros(rows, np.int64)),
    }
    (root / ROWS).parent.mkdir(parents=True)
    (root / EPISODES).parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), root / ROWS)
    starts = np.arange(episodes) * length
    record = {
        "episode_index": pa.array(np.arange(episodes)),
        "tasks": pa.array([["wave"]] * episodes),
        "length": pa.array(np.full(episodes, length)),
        "data/chunk_index": pa.array(np.zeros(episodes, np.int64)),
        "data/file_index": pa.array(np.zeros(episodes, np.int64)),
        "dataset_from_index": pa.array(starts),
        "dataset_to_index": pa.array(starts + length),
    }
    pq.write_table(pa.table(record), root / EPISODES)
    tasks = pa.table({"task_index": [0], "task": ["wave"]})
    described = {b"pandas": json.dumps({"index_columns": ["task"], "columns": []}).encode()}
    pq.write_table(tasks.replace_schema_metadata(described), root / "meta/tasks.parquet")
    vector = {"dtype": "float32", "shape": [2], "names": ["x", "y"]}
    whole = {"dtype": "int64", "shape": [1], "names": None}
    image = {"dtype": "image", "shape": [12, 16, 3], "names": ["height", "width", "channels"]}
    features = {
        "observation.images.front": image,
        "observation.images.depth": {**image, "shape": [12, 16, 1], "info": {"is_depth_map": True}},
        "observation.state": vector,
        "action": vector,
        "observation.grid": {"dtype": "float32", "shape": [2, 3], "names": None},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), whole),
    }
    info = {"codebase_version": "v3.0", "fps": 10, "features": features, "robot_type": "two joints"}
    info |= {"total_episodes": episodes, "total_frames": rows, "total_tasks": 1, "video_path": None}
    info |= {"data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet", "chunks_size": 1000}
    (root / "meta/info.json").write_text(json.dumps(info))
    (root / "meta/stats.json").write_text(json.dumps(picture_statistics(state)))
    return Copy(root)


def picture_statistics(state: np.ndarray) -> dict[str, Any]:
    def entry(values: np.ndarray) -> dict[str, list[float]]:
        moments = {"mean": values.mean(0), "std": values.std(0), "min": values.min(0), "max": values.max(0)}
        moments |= {"q01": np.quantile(values, 0.01, axis=0), "q99": np.quantile(values, 0.99, axis=0)}
        return {name: value.tolist() for name, value in moments.items()}

    # LeRobot gives a 2-D feature statistics of its last axis.
    grid = {name: [0.5, 0.5, 0.5] for name in ("mean", "std", "min", "max", "q01", "q99")}
    camera = {name: [[[0.5]]] for name in ("mean", "std", "min", "max")}
    return {
        "observation.state": entry(state.astype(float)),
        "action": entry(state.astype(float) + 0.1),
        "observation.grid": grid,
        "observation.images.front": camera,
        "observation.images.depth": camera,
    }
