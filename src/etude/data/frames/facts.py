"""What the choice of a form depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from etude.data.frames.camera_files import CameraFile, camera_files
from etude.data.frames.choose import CameraFacts, Facts
from etude.data.frames.estimate import measured_ratios
from etude.data.frames.forms import Form, FormName
from etude.data.frames.location import store_folder
from etude.data.frames.pool import usable_cores
from etude.data.frames.space import disk_is_local, free_disk, free_memory
from etude.data.frames.store import FrameStore, present_shards

__all__ = ["FactFinder"]


@dataclass
class FactFinder:
    """Finds out about the cameras of a dataset and about this machine.

    Args:
        meta: LeRobot's dataset metadata.
        episodes: whose frames are needed.
        form: quality and size of the frames; the name does not count.
    """

    meta: Any
    fingerprint: str
    cameras: Sequence[str]
    episodes: Sequence[int] | None
    form: Form
    cache: Path

    def facts(self, reads: int | None = None, processes: int = 1) -> Facts:
        """Without decoding anything; sizes are the usual ones where nothing is stored yet.

        Args:
            reads: frames that each process will read of each camera; None for no limit.
            processes: of the run on this machine.
        """
        return Facts(
            cameras=tuple(self._camera(name) for name in self.cameras),
            folder=str(self.cache),
            free_disk=free_disk(self.cache),
            free_memory=free_memory(),
            disk_is_local=disk_is_local(self.cache),
            reads=None if reads is None else reads * processes * len(self.cameras),
            processes=processes,
            cores=usable_cores(),
            resized=self.form.width is not None,
        )

    def with_measured_sizes(self, facts: Facts) -> Facts:
        """The same with sizes estimated from a few frames of each camera, which takes a moment."""
        cameras = []
        for camera in facts.cameras:
            files = self._files(camera.name)
            ratios = {**self._ratios(files[0], camera.name), **camera.ratios} if files else camera.ratios
            cameras.append(replace(camera, ratios=ratios))
        return replace(facts, cameras=tuple(cameras))

    def _ratios(self, file: CameraFile, name: str) -> dict[str, float]:
        video = name in self.meta.video_keys
        return dict(measured_ratios(file, name, Path(self.meta.root), self.form, video=video))

    def _camera(self, name: str) -> CameraFacts:
        height, width, channels = _size(self.meta.features[name])
        if self.form.width is not None and self.form.height is not None:
            height, width = self.form.height, self.form.width
        depth = name in self.meta.depth_keys
        files = self._files(name)
        ready, held, ratios, error = set(), {}, {}, None
        for form_name in get_args(FormName):
            form = replace(self.form, name=form_name)
            form = form.for_depth() if depth else form
            shards = present_shards(store_folder(self.cache, self.fingerprint, name, form), files).values()
            held[form_name] = sum(shard.bytes for shard in shards)
            if shards:
                ratios[form_name] = held[form_name] / sum(shard.frames * shard.frame_bytes for shard in shards)
            store = FrameStore.find(self.meta, self.fingerprint, name, form, self.cache, self.episodes)
            if store is not None:
                ready.add(form_name)
                error = (store.info.error or {}).get("mean") if form_name == "jpeg" else error
        frames = sum(file.frames for file in files)
        shape, item = (channels, height, width), 2 if depth else 1
        return CameraFacts(name, frames, shape, item, frozenset(ready), held, ratios, error)

    def _files(self, name: str) -> list[CameraFile]:
        """The files that hold these episodes, each with the frames of all episodes in it: it is decoded as a whole."""
        wanted = {file.name for file in camera_files(self.meta, name, self.episodes)}
        return [file for file in camera_files(self.meta, name) if file.name in wanted]


def _size(feature: dict[str, Any]) -> tuple[int, int, int]:
    """Height, width and channels of a camera, by the names of its axes."""
    first, second, third = (int(size) for size in feature["shape"])
    names = [str(name) for name in (feature.get("names") or ())]
    # LeRobot's rule, and for sets without names: the smallest number is that of the channels.
    channels_last = names[2] in ("channel", "channels") if len(names) == 3 else third <= first
    return (first, second, third) if channels_last else (second, third, first)
