"""Jobs for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from etude.platforms.bundle.folder import Bundle, BundledCommand
from etude.platforms.job import Input, Job, Resources

MakeJob = Callable[..., Job]


def overrides(items: Iterable[str]) -> dict[str, str]:
    """What `--set ITEM` becomes, as settings of a job."""
    return {f"set.{key}": value for key, _, value in (item.partition("=") for item in items)}


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """A training job that has no problem, with what a test changes of it."""

    def make(**changes: Any) -> Job:
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        if "config" in changes:
            (folder / "config.yaml").write_text(changes.pop("config"))
        inputs = changes.pop("inputs", (Input("dataset", "azureml:pusht:3", "--dataset.root"),))
        outputs = changes.pop("outputs", ("checkpoint",))
        words = ["train", "--policy.type=act"]
        words += [f"--input-{item.name}={{input:{item.name}}}" for item in inputs]
        words += [f"--output_dir={{output:{name}}}" for name in outputs]
        command = changes.pop("command", tuple(words))
        told = BundledCommand(command, inputs=tuple(item.name for item in inputs), outputs=tuple(outputs))
        resources = Resources(**{"compute": "gpu-cluster", **changes.pop("resources", {})})
        settings: dict[str, Any] = {
            "name": "act-1",
            "title": "ACT on PushT",
            "experiment": "robots",
            "bundle": Bundle(folder, "0123456789abcdef" * 4, 1000, told),
        }
        return Job(**{**settings, **changes}, inputs=inputs, outputs=outputs, resources=resources)

    return make
