"""Pictures in another size than they are recorded in: the step of a checkpoint that brings them to the policy's.

It is LeRobot's own `image_crop_resize_processor`, so that everything that loads the checkpoint applies it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["brings_to_own_size", "recorded_sizes", "resized_to", "with_resize", "without_resize"]

# Policies with one of these settings bring any picture to their own size.
_RESIZE_SETTINGS = (
    "resize_imgs_with_padding",
    "image_resolution",
    "resize_shape",
    "image_resize_shape",
    "resize_images_to",
    "image_size",
)
# The step has no field for the size that pictures were recorded in. It stands among its crops, under a name that no
# observation has, so that LeRobot passes over it.
_RECORDED = "recorded "

Size = tuple[int, int]
"""Height and width in pixels."""


def brings_to_own_size(config: Any) -> bool:
    """Whether the policy itself takes pictures of any size."""
    return any(getattr(config, name, None) for name in _RESIZE_SETTINGS)


def with_resize(preprocessor: Any, size: Size, recorded: Mapping[str, Size]) -> Any:
    """The preprocessor with the step in front, in the place of one that it has.

    Args:
        preprocessor: LeRobot's pipeline.
        size: what pictures are brought to.
        recorded: camera, by its name in the policy, to the size of its recorded pictures.
    """
    from lerobot.processor import ImageCropResizeProcessorStep

    crops = {f"{_RECORDED}{key}": (0, 0, *its) for key, its in recorded.items()}
    step = ImageCropResizeProcessorStep(crop_params_dict=crops, resize_size=size)
    return dataclasses.replace(preprocessor, steps=[step, *without_resize(preprocessor).steps])


def without_resize(preprocessor: Any) -> Any:
    """The preprocessor for pictures that have the policy's size already."""
    steps = [step for step in preprocessor.steps if not _resizes(step)]
    return preprocessor if len(steps) == len(preprocessor.steps) else dataclasses.replace(preprocessor, steps=steps)


def resized_to(preprocessor: Any) -> Size | None:
    """What the checkpoint's preprocessor brings pictures to; None where it leaves them."""
    for step in getattr(preprocessor, "steps", ()):
        if _resizes(step):
            height, width = step.resize_size
            return int(height), int(width)
    return None


def recorded_sizes(preprocessor: Any) -> dict[str, Size]:
    """The size of each camera's recorded pictures, where they are resized for the policy."""
    sizes: dict[str, Size] = {}
    for step in filter(_resizes, getattr(preprocessor, "steps", ())):
        for name, (_, _, height, width) in (step.crop_params_dict or {}).items():
            if name.startswith(_RECORDED):
                sizes[name.removeprefix(_RECORDED)] = (int(height), int(width))
    return sizes


def _resizes(step: Any) -> bool:
    return getattr(step, "resize_size", None) is not None and hasattr(step, "crop_params_dict")
