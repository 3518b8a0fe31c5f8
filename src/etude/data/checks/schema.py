"""Do the tables hold the columns that `meta/info.json` declares, in their types?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etude.data.checks.blocks import DataFile, first_episode
from etude.data.checks.findings import Finding, error, info, numbered, warning
from etude.data.sources.info import BOOKKEEPING, Feature
from etude.data.sources.layout import DatasetLayout
from etude.extras import require

__all__ = ["check_schema"]


def check_schema(layout: DatasetLayout, files: list[DataFile]) -> Iterator[Finding]:
    """Declared features against the footers of the data tables."""
    yield from _declared(layout)
    for file in files:
        if file.schema is not None:
            yield from _columns(layout, file)


def _declared(layout: DatasetLayout) -> Iterator[Finding]:
    features = layout.info.features
    absent = [name for name in BOOKKEEPING if name not in features]
    if absent:
        yield error(
            "feature-missing",
            f"meta/info.json does not declare {', '.join(absent)}",
            fix="declare them as LeRobot's writer does, or record the dataset again",
        )
    if "action" not in features:
        yield warning(
            "no-action",
            "there is no feature named action, which most policies learn to predict",
            fix="rename the feature that holds the actions",
        )
    if not any(name.startswith("observation") for name in features):
        yield warning("no-observation", "there is no feature named observation...", fix="rename the features")
    for feature in features.values():
        if feature.dtype not in _KNOWN:
            yield error(
                "dtype-unknown",
                f"{feature.name} is declared with dtype {feature.dtype!r}, which LeRobot does not know",
                fix="correct its dtype in meta/info.json",
            )
        if feature.is_camera and feature.height_width is None:
            yield error(
                "camera-shape",
                f"{feature.name} is declared with shape {feature.shape}, which is not height, width and channels",
                fix="correct its shape in meta/info.json",
            )
    if layout.info.fps != int(layout.info.fps):
        yield warning(
            "fps-fraction",
            f"fps is {layout.info.fps:g}; LeRobot expects a whole number",
            fix="record with a whole number of frames per second",
        )


def _columns(layout: DatasetLayout, file: DataFile) -> Iterator[Finding]:
    episode = first_episode(file)
    expected = {name: feature for name, feature in layout.info.features.items() if feature.dtype != "video"}
    present = set(file.schema.names)
    absent = sorted(set(expected) - present)
    if absent:
        yield error(
            "column-missing",
            f"{file.path} lacks the declared columns {numbered(absent)}",
            episode=episode,
            fix="record these episodes again, or remove the features from meta/info.json",
        )
    extra = sorted(present - set(expected))
    if extra:
        yield error(
            "column-undeclared",
            f"{file.path} has columns that meta/info.json does not declare ({numbered(extra)}), "
            "and LeRobot refuses to load it",
            episode=episode,
            fix="declare them under features in meta/info.json, or drop them from the table",
        )
    for name in sorted(present & set(expected)):
        yield from _type(file, expected[name], file.schema.field(name).type, episode)


def _type(file: DataFile, feature: Feature, kind: Any, episode: int | None) -> Iterator[Finding]:
    types = require("pyarrow.types", "imitation")
    leaf = _leaf(kind)
    where = f"{file.path}: {feature.name} is declared {feature.dtype} and stored as {leaf}"
    if feature.dtype == "image":
        if not (types.is_struct(kind) or types.is_binary(kind) or types.is_large_binary(kind)):
            yield error("dtype-mismatch", where, episode=episode, fix="store the picture's encoded bytes")
    elif feature.dtype == "string":
        if not (types.is_string(leaf) or types.is_large_string(leaf)):
            yield error("dtype-mismatch", where, episode=episode, fix="correct the dtype in meta/info.json")
    elif feature.is_numeric and str(leaf) != _ARROW_NAMES.get(feature.dtype, feature.dtype):
        is_number = types.is_floating(leaf) or types.is_integer(leaf) or types.is_boolean(leaf)
        if not is_number:
            yield error("dtype-mismatch", where, episode=episode, fix="store numbers")
        else:
            yield info("dtype-differs", f"{where}; it is converted on loading", episode=episode)


_KNOWN = {
    *("float16", "float32", "float64", "bool", "string", "language", "image", "video"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
_ARROW_NAMES = {"float32": "float", "float64": "double", "float16": "halffloat"}


def _leaf(kind: Any) -> Any:
    """The type of the numbers inside (nested) lists."""
    types = require("pyarrow.types", "imitation")
    kind = getattr(kind, "storage_type", kind)
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind = kind.value_type
    return kind
