"""Weights & Biases. The only file that imports its SDK.

W&B keeps one row a step, and steps only grow. A row is handed over once all its values are there: when a
later step has begun, or at the end. So what the server has, it has whole; its last step tells where to go on.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from etude.runs.metrics import MetricRecord
from etude.tracking.points import clean
from etude.tracking.sender import Sender
from etude.tracking.spool import Delivery

__all__ = ["WandbSender", "offline_rows"]

INIT_TIMEOUT_S = 30


class WandbSender(Sender):
    _run: Any = None

    def load(self) -> None:
        import wandb  # noqa: F401

    def open(self) -> bool:
        import wandb

        if self._run is not None:  # its service is gone; what it held is offered again
            self._run = None
            with contextlib.suppress(Exception):
                wandb.teardown(exit_code=1)
        settings = self.start["wandb"]
        self._run = wandb.init(
            dir=str(self.run),
            id=settings["run_id"],
            name=self.start["name"],
            project=settings["project"],
            entity=settings.get("entity"),
            notes=settings.get("notes"),
            tags=settings.get("tags") or None,
            mode=settings["mode"],
            resume="allow",
            config=self.start["params"],
            allow_val_change=True,
            settings=_quiet(wandb),
        )
        self._held: dict[int, dict[str, float]] = {}
        self._next_step = int(self._run.step)
        if settings["mode"] == "offline":
            rows = offline_rows(self.run, settings["run_id"])
            self._next_step = max([self._next_step, *(row["_step"] + 1 for row in rows)])
        self.tell({**settings, "entity": self._run.entity or settings.get("entity"), "url": self._run.url})
        return True

    def send(self, records: Sequence[MetricRecord], *, last: bool) -> int:
        for record in records:
            if record.step >= self._next_step:
                row = self._held.setdefault(record.step, {})
                for name, value in record.metrics.items():
                    row.setdefault(clean(name), value)
        ready = sorted(self._held) if last else sorted(self._held)[:-1]
        sent = 0
        for step in ready:
            row = self._held.pop(step)
            self._run.log(row, step=step, commit=True)
            self._next_step = step + 1
            sent += len(row)
        return sent

    def deliver(self, delivery: Delivery, path: Path) -> None:
        import wandb

        if delivery.metrics:
            # In the summary, not as a row: a row of an older step would be dropped.
            self._run.summary.update({**delivery.metrics, "eval/checkpoint_step": delivery.step})
        if self.start["wandb"].get("disable_artifact") or not path.exists():
            return
        name = re.sub(r"[^\w.-]", "-", f"{self._run.id}-{delivery.name}")[:128]
        artifact = wandb.Artifact(name, type=_kind(delivery, path))
        if path.is_dir():
            artifact.add_dir(str(path), policy="immutable")  # no copy of gigabytes into W&B's own cache
        else:
            artifact.add_file(str(path), policy="immutable")
        self._run.log_artifact(artifact)

    def close(self, status: str) -> None:
        self._run.finish(exit_code=1 if status == "failed" else 0)
        self._run = None


def offline_rows(run: Path, run_id: str) -> Iterator[dict[str, Any]]:
    """The rows that offline runs of this id hold on the disk, in the order written."""
    try:
        from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]
        from wandb.sdk.internal.datastore import DataStore
    except ImportError:  # these two are not public; without them a resumed offline run repeats rows
        return
    for file in sorted(run.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb")):
        store = DataStore()
        # A file that a crash cut short ends with an assertion about a header or a checksum.
        with contextlib.suppress(AssertionError, OSError, ValueError):
            store.open_for_scan(str(file))
            while (data := store.scan_data()) is not None:
                record: Any = Record()
                record.ParseFromString(data)
                if record.WhichOneof("record_type") == "history":
                    row = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
                    row = {key: json.loads(value) for key, value in row.items()}
                    yield {**row, "_step": record.history.step.num}


def _kind(delivery: Delivery, path: Path) -> str:
    if delivery.name.startswith("evaluations"):
        return "evaluation"
    holds_model = path.is_dir() and any(path.rglob("*.safetensors"))
    return "model" if holds_model or path.suffix == ".safetensors" else "file"


def _quiet(wandb: Any) -> Any:
    """No output, no prompt, no measuring of its own (ours is in the metrics file), no copies of code."""
    return wandb.Settings(
        silent=True,
        console="off",
        quiet=True,
        init_timeout=INIT_TIMEOUT_S,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        save_code=False,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
