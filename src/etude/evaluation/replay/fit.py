"""Does this dataset fit this checkpoint? Said before a frame is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etude.errors import CheckpointError, DatasetError
from etude.policies.pictures import brings_to_own_size, resized_to

__all__ = ["check_fit", "renamed", "wanted_observations"]


def renamed(preprocessor: Any) -> dict[str, str]:
    """What the checkpoint's own preprocessor renames: a dataset's key to the policy's."""
    names: dict[str, str] = {}
    for step in getattr(preprocessor, "steps", ()):
        names.update(getattr(step, "rename_map", None) or {})
    return names


def wanted_observations(config: Any, preprocessor: Any, features: Mapping[str, Any]) -> list[str]:
    """The dataset's observation keys that the policy takes, in the dataset's order."""
    rename = renamed(preprocessor)
    inputs = config.input_features or {}
    return [key for key in features if rename.get(key, key) in inputs]


def check_fit(config: Any, preprocessor: Any, features: Mapping[str, Any], dataset_name: str) -> None:
    """Refuse a dataset whose cameras, states or actions are not those of the checkpoint.

    Args:
        config: the policy's LeRobot config (`input_features`, `output_features`).
        preprocessor: the checkpoint's preprocessor; the keys it renames count under their new name.
        features: the dataset's, key to `{"dtype", "shape", "names"}`; images are `(height, width, channel)`.
        dataset_name: what to call the dataset in a message.

    Raises:
        DatasetError: the dataset records no actions.
        CheckpointError: a key is missing or a shape differs; the sentence names both.
    """
    if "action" not in features:
        raise DatasetError(
            f"the dataset {dataset_name} records no actions",
            hint="a replay compares actions with recorded ones",
        )
    rename = renamed(preprocessor)
    recorded = {rename.get(key, key): feature for key, feature in features.items()}
    problems = _missing(config, recorded) + _different(config, recorded, preprocessor)
    if problems:
        raise CheckpointError(
            f"the dataset {dataset_name} does not fit the checkpoint: {'; '.join(problems)}",
            hint="choose the dataset that the policy was trained on, or one recorded on the same robot",
        )


def _missing(config: Any, recorded: Mapping[str, Any]) -> list[str]:
    absent = [
        f"{key} {_shape(feature.shape)}"
        for key, feature in (config.input_features or {}).items()
        if key not in recorded and "empty_camera" not in key
    ]
    if not absent:
        return []
    offered = [
        f"{key} {_shape(feature['shape'])}" for key, feature in recorded.items() if key.startswith("observation.")
    ]
    return [f"the policy needs {', '.join(absent)}, the dataset has {', '.join(offered) or 'no observations'}"]


def _different(config: Any, recorded: Mapping[str, Any], preprocessor: Any) -> list[str]:
    problems, normalised = [], _normalised_sizes(preprocessor)
    any_size = brings_to_own_size(config) or resized_to(preprocessor) is not None
    for key, feature in {**(config.input_features or {}), **(config.output_features or {})}.items():
        if key not in recorded:
            continue
        given, expected = tuple(recorded[key]["shape"]), tuple(feature.shape)
        if recorded[key].get("dtype") in ("image", "video"):
            given = _channels_first(given, expected)
            fits = given == expected or (given[0] == expected[0] and any_size)
        else:
            # A policy that pads (max_state_dim) keeps its base's shape; its statistics tell the true size.
            expected = (normalised[key],) if key in normalised else expected
            fits = given == expected
        if not fits:
            problems.append(f"{key} is {_shape(given)} in the dataset and {_shape(expected)} in the policy")
    return problems


def _normalised_sizes(preprocessor: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for step in getattr(preprocessor, "steps", ()):
        for key, statistics in (getattr(step, "_tensor_stats", None) or {}).items():
            vector = statistics.get("mean", statistics.get("min"))
            if vector is not None and vector.ndim == 1:
                sizes[key] = int(vector.shape[0])
    return sizes


def _channels_first(given: tuple[int, ...], expected: tuple[int, ...]) -> tuple[int, ...]:
    if len(given) == 3 and given[0] not in (1, 3, 4) and given[2] in (1, 3, 4):
        return (given[2], given[0], given[1])
    return given


def _shape(shape: Any) -> str:
    return f"({', '.join(str(size) for size in shape)})"
