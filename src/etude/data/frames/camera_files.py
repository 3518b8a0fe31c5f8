"""Which files of a dataset hold a camera's frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.errors import DatasetError

__all__ = ["CameraFile", "camera_files", "episode_column", "files_of_episodes", "is_video"]


@dataclass(frozen=True)
class CameraFile:
    """A video file, or a table with pictures in it.

    Attributes:
        path: where it lies.
        name: relative to the dataset.
        shard: the name of the store's shard that holds its frames.
        frames: how many frames the wanted episodes have in it, by the metadata.
    """

    path: Path
    name: str
    shard: str
    frames: int


def is_video(meta: Any, camera: str) -> bool:
    """Whether the camera's frames lie in videos; else they are pictures in the tables.

    Raises:
        DatasetError: the dataset has no such camera.
    """
    if camera not in meta.camera_keys:
        raise DatasetError(f"the dataset has no camera {camera!r}; it has {', '.join(meta.camera_keys) or 'none'}")
    return camera in meta.video_keys


def camera_files(meta: Any, camera: str, episodes: Sequence[int] | None = None) -> list[CameraFile]:
    """The files that hold these episodes' frames (None: all), in the order of the episodes."""
    video = is_video(meta, camera)
    lengths = episode_column(meta, "length")
    frames: dict[Path, int] = {}
    for episode, file in files_of_episodes(meta, camera, episodes).items():
        frames[file] = frames.get(file, 0) + int(lengths[episode])
    root = Path(meta.root)
    dropped = {"videos", camera} if video else {"data"}
    found = []
    for file, count in frames.items():
        parts = [part for part in file.with_suffix("").parts if part not in dropped]
        found.append(CameraFile(root / file, file.as_posix(), "-".join(parts), count))
    return found


def files_of_episodes(meta: Any, camera: str, episodes: Sequence[int] | None) -> dict[int, Path]:
    """Each episode's file, relative to the dataset."""
    prefix = f"videos/{camera}" if is_video(meta, camera) else "data"
    chunks, files = episode_column(meta, f"{prefix}/chunk_index"), episode_column(meta, f"{prefix}/file_index")
    template = meta.video_path if is_video(meta, camera) else meta.data_path
    wanted = range(len(chunks)) if episodes is None else episodes
    names: dict[tuple[int, int], Path] = {}
    found = {}
    for episode in wanted:
        if not 0 <= episode < len(chunks):
            raise DatasetError(f"the dataset has no episode {episode}; it has {len(chunks)}")
        place = (int(chunks[episode]), int(files[episode]))
        if place not in names:
            names[place] = Path(template.format(video_key=camera, chunk_index=place[0], file_index=place[1]))
        found[int(episode)] = names[place]
    return found


def episode_column(meta: Any, name: str) -> np.ndarray[Any, Any]:
    """One column of the episodes' metadata, an entry an episode."""
    if name not in meta.episodes.column_names:
        raise DatasetError(f"{meta.root}: the episodes' metadata has no {name}", hint=f"etude data check {meta.root}")
    # Straight from the table: a `Dataset` copies all its formats at every look, which takes longer than the rest here.
    # LeRobot loads the metadata whole and in order, without an index of selected rows.
    return meta.episodes.data.column(name).to_numpy()  # type: ignore[no-any-return]
