"""A policy for pictures of another size than the dataset's (`--frames.width`, `--frames.height`)."""

from __future__ import annotations

from typing import Any

from etude.config.options import FramesOptions
from etude.errors import CheckpointError, UsageError
from etude.policies.pictures import Size, brings_to_own_size, resized_to, with_resize

__all__ = ["frame_size", "resizing_processors", "seen_resized"]


def frame_size(options: FramesOptions) -> Size | None:
    """Height and width that frames are brought to; None leaves them as they are."""
    return None if options.width is None or options.height is None else (options.height, options.width)


def seen_resized(meta: Any, size: Size | None) -> Any:
    """The dataset's metadata as a policy sees it whose pictures have this size."""
    return meta if size is None else _Resized(meta, size)


def resizing_processors(
    processors: tuple[Any, Any], policy: Any, meta: Any, size: Size | None, rename_map: dict[str, str]
) -> tuple[Any, Any]:
    """The processors with a step first that brings full-size pictures to the policy's size.

    Training leaves the step out: its frames have that size already.

    Args:
        meta: LeRobot's metadata, of the dataset as it is.
        rename_map: the dataset's names to the policy's.

    Raises:
        UsageError: LeRobot's step cannot resize these cameras.
        CheckpointError: the policy was made for another size.
    """
    made_for = resized_to(processors[0])
    if size is None and made_for is None:
        return processors
    if size != made_for and made_for is not None:
        raise CheckpointError(
            f"the policy was made for pictures resized to {made_for[1]}x{made_for[0]}",
            hint=f"add --frames.width={made_for[1]} --frames.height={made_for[0]}",
        )
    assert size is not None
    cameras = policy.config.image_features
    _check_size(cameras, size, policy.config)
    read = [key for key in meta.camera_keys if rename_map.get(key, key) in cameras]
    _check_names(meta, read, rename_map)
    recorded = {rename_map.get(key, key): _recorded_size(meta.features[key]) for key in read}
    return with_resize(processors[0], size, recorded), processors[1]


def _check_size(cameras: Any, size: Size, config: Any) -> None:
    for key, feature in cameras.items():
        if tuple(feature.shape[1:]) != size and not brings_to_own_size(config):
            raise CheckpointError(
                f"{key} of the policy is {feature.shape[2]}x{feature.shape[1]}, and frames are resized to "
                f"{size[1]}x{size[0]}",
                hint="train from scratch with --policy.type, or leave out --frames.width and --frames.height",
            )


def _check_names(meta: Any, read: list[str], rename_map: dict[str, str]) -> None:
    """LeRobot's step takes every observation with `image` in its name for a colour picture, and no other."""
    hint = "leave out --frames.width and --frames.height"
    for key in read:
        if key in meta.depth_keys:
            raise UsageError(f"--frames.width: {key} is depth, which LeRobot's processors do not resize", hint=hint)
        for name in (key, rename_map.get(key, key)):
            if "image" not in name:
                raise UsageError(f"--frames.width: LeRobot's processors resize no camera named {name}", hint=hint)
    for key in meta.features:
        if key.startswith("observation.") and "image" in key and key not in meta.camera_keys:
            raise UsageError(f"--frames.width: LeRobot's processors would resize {key}, too", hint=hint)


def _recorded_size(feature: dict[str, Any]) -> Size:
    from lerobot.utils.feature_utils import dataset_to_policy_features

    shape = dataset_to_policy_features({"camera": feature})["camera"].shape
    return int(shape[1]), int(shape[2])


class _Resized:
    """Metadata whose cameras have another size; everything else is the dataset's."""

    def __init__(self, meta: Any, size: Size) -> None:
        self._meta = meta
        self.features = {
            key: {**feature, "shape": _shape(feature, size)} if key in meta.camera_keys else feature
            for key, feature in meta.features.items()
        }

    def __getattr__(self, name: str) -> Any:
        if name == "_meta":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self._meta, name)


def _shape(feature: dict[str, Any], size: Size) -> tuple[int, int, int]:
    names: Any = feature.get("names") or ()
    shape = [int(length) for length in feature["shape"]]
    channels_last = len(names) > 2 and names[2] in ("channel", "channels")
    return (*size, shape[2]) if channels_last else (shape[0], *size)
