"""Builds a store in a process of its own: `python -m tests.data.frames.build_program ROOT CACHE FORM`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from etude.data.frames.build import build_store
from etude.data.frames.forms import Form
from etude.errors import EtudeError

FINGERPRINT = "0123456789abcdef" * 4
CAMERA = "observation.images.near"


class Episodes:
    """As much of the episodes' metadata as a build asks for: importing LeRobot's own takes ten seconds."""

    def __init__(self, table: Any) -> None:
        self.data = table
        self.column_names = table.column_names


def light_metadata(root: Path) -> Any:
    """What a build needs of a dataset's metadata."""
    import pyarrow.dataset as pads

    info = json.loads((root / "meta" / "info.json").read_text())
    cameras = [name for name, feature in info["features"].items() if feature["dtype"] == "video"]
    return SimpleNamespace(
        root=root,
        repo_id="some/name",
        fps=info["fps"],
        features=info["features"],
        camera_keys=cameras,
        video_keys=cameras,
        depth_keys=[],
        video_path=info["video_path"],
        data_path=info["data_path"],
        episodes=Episodes(pads.dataset(sorted((root / "meta" / "episodes").glob("*/*.parquet"))).to_table()),
    )


def main() -> None:
    sys.modules["lerobot"] = None  # type: ignore[assignment]  # to compare with it is to import it, which takes long
    root, cache, form = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

    def tell(sentence: str, done: int, total: int) -> None:
        print(sentence, done, total, flush=True)

    try:
        store = build_store(
            light_metadata(root), FINGERPRINT, CAMERA, Form.parse(form), cache=cache, workers=2, progress=tell
        )
    except EtudeError as error:
        sys.exit(f"{type(error).__name__}: {error.message}")
    print("built", store.info.frames)


if __name__ == "__main__":
    main()
