"""A dataset of format v2.1 rewritten as v3.0, on a copy. LeRobot's own converter does the rewriting."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from etude.data.checks import assert_sound, check_dataset
from etude.data.checks.check import Progress
from etude.data.sources.info import V21, V30, read_info
from etude.errors import DatasetError
from etude.extras import require
from etude.runs.atomic import atomic_directory, write_json

__all__ = ["convert"]

DATA_FILE_MIB, VIDEO_FILE_MIB = 100, 200
"""Sizes at which LeRobot starts a new data or video file."""


def convert(root: Path | str, output: Path | str | None = None, progress: Progress | None = None) -> Path:
    """Write the v3.0 form of a v2.1 dataset; the original is only read.

    Args:
        output: the folder to write, complete or absent; default `ROOT-v30` beside the original.

    Returns:
        The new dataset's folder.

    Raises:
        DatasetError: it is not of format v2.1, it is broken (irregular timestamps among others, which the
            converter would accept and loading would die on), or `output` exists.
    """
    root = Path(root)
    version = read_info(root).version
    if version != V21:
        hint = "nothing needs to be done" if version == V30 else f"only {V21} can be converted"
        raise DatasetError(f"{root} is a dataset of format {version}, not {V21}", hint=hint)
    target = Path(output) if output else root.resolve().with_name(f"{root.resolve().name}-v30")
    if target.exists():
        raise DatasetError(f"{target} exists already", hint="choose another folder with --output, or remove it")
    if target.resolve().is_relative_to(root.resolve()):
        raise DatasetError(f"{target} lies inside the dataset itself", hint="choose a folder outside with --output")
    assert_sound(check_dataset(root, progress=progress))
    with atomic_directory(target) as new:
        _rewrite(root, new, progress)
        _keep_documents(root, new)
        assert_sound(check_dataset(new, progress=progress))
    return target


def _rewrite(root: Path, new: Path, progress: Progress | None) -> None:
    """The steps of LeRobot's `convert_dataset`, without its hub and without its moving of the original."""
    steps = require("lerobot.scripts.convert_dataset_v21_to_v30", "imitation")
    arrow = require("pyarrow", "imitation")
    with (
        tempfile.TemporaryDirectory(prefix="etude-convert-") as scratch,
        _quiet(steps, Path(scratch), progress),
    ):
        metadata = _tidy_metadata(root, Path(scratch))
        try:
            steps.convert_info(metadata, new, DATA_FILE_MIB, VIDEO_FILE_MIB)
            steps.convert_tasks(metadata, new)
            rows = steps.convert_data(root, new, DATA_FILE_MIB)
            videos = steps.convert_videos(root, new, VIDEO_FILE_MIB)
            steps.convert_episodes_metadata(metadata, new, rows, videos)
        except (ValueError, LookupError, TypeError, RuntimeError, arrow.ArrowException) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DatasetError(
                f"LeRobot's converter stopped at {root}: {type(error).__name__}: {reason}",
                hint=f"look for what is unusual: etude data check {root} --level full",
            ) from error


def _tidy_metadata(root: Path, scratch: Path) -> Path:
    """The metadata as the converter wants it: the keys that it deletes are there, and no line is blank."""
    raw = {"total_chunks": 1, "total_videos": 0, "video_path": None, **read_info(root).raw}
    write_json(scratch / "meta" / "info.json", raw)
    for name in ("episodes.jsonl", "episodes_stats.jsonl", "tasks.jsonl"):
        source = root / "meta" / name
        if not source.is_file():
            raise DatasetError(f"{source} is missing", hint="copy or download the dataset again")
        lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
        (scratch / "meta" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return scratch


def _keep_documents(root: Path, new: Path) -> None:
    """The licence and the description go with the data."""
    for file in root.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copyfile(file, new / file.name)


@contextlib.contextmanager
def _quiet(steps: Any, scratch: Path, progress: Progress | None) -> Iterator[None]:
    """The converter's progress told to `progress`, its scratch tables kept out of the user's cache."""
    datasets = require("datasets", "imitation")
    bars, cache = steps.tqdm, datasets.config.HF_DATASETS_CACHE
    # It warns of every v2.1 key that v3.0 dropped, and those are no news here.
    chatter = logging.getLogger("lerobot.datasets.utils")
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    bars_were_off = datasets.are_progress_bars_disabled()

    def follow(items: Iterable[Any], desc: str = "convert", **_: Any) -> Iterator[Any]:
        listed = list(items)
        for number, item in enumerate(listed, start=1):
            yield item
            if progress is not None:
                progress(desc, number, len(listed))

    steps.tqdm = SimpleNamespace(tqdm=follow)
    datasets.config.HF_DATASETS_CACHE = scratch / "tables"
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        steps.tqdm, datasets.config.HF_DATASETS_CACHE = bars, cache
        if not bars_were_off:
            datasets.enable_progress_bars()
        chatter.setLevel(level)
