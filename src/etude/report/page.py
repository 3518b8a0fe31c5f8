"""Run folders to one HTML file that needs nothing beside it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from etude import __version__
from etude.errors import RunFolderError
from etude.extras import require
from etude.report import numbers
from etude.report.curves import build_charts, finite, lowest
from etude.report.embed import Embedder
from etude.report.evaluations import comparison_view, replay_view, rollout_view
from etude.report.gather import RunView, gather
from etude.report.sections import RunSection, best_rollout, dataset_name, describe, policy_type, wall_time
from etude.runs.atomic import write_text

__all__ = ["WrittenReport", "render", "write_report"]


@dataclass(frozen=True)
class WrittenReport:
    """Where the page lies.

    Attributes:
        size: bytes.
        left_out: media that did not fit the budget.
        problems: what could not be read, per run.
    """

    path: Path
    size: int
    left_out: list[str]
    problems: list[str]


def write_report(roots: Sequence[Path], output: Path | None = None, media_budget: int = 40_000_000) -> WrittenReport:
    """Write a page about these runs.

    Args:
        roots: run folders, or checkpoints inside them.
        output: the file; None means `report.html` in the run's folder, or beside the folders of several runs.
        media_budget: most bytes of videos and plots to embed.

    Raises:
        RunFolderError: one of them is not a run folder.
        StorageError: the file cannot be written.
    """
    views = _distinct([gather(root) for root in roots])
    embedder = Embedder(media_budget)
    text = render(views, embedder)
    target = output or _default_output(views)
    write_text(target, text)
    return WrittenReport(
        path=target,
        size=target.stat().st_size,
        left_out=[media.name for media in embedder.left_out],
        problems=[f"{view.name}: {problem}" for view in views for problem in view.problems],
    )


def render(views: Sequence[RunView], embedder: Embedder) -> str:
    """The page as text."""
    charts = build_charts(views)
    runs = [describe(view, number) for number, view in enumerate(views)]
    text: str = (
        _environment()
        .get_template("page.html")
        .render(
            title=views[0].name if len(views) == 1 else f"{len(views)} runs compared",
            runs=runs,
            charts=charts,
            chart_data=[asdict(chart) for chart in charts],
            rollouts=[[rollout_view(item, embedder) for item in view.of_kind("rollout")] for view in views],
            replays=[[replay_view(item, embedder) for item in view.of_kind("replay")] for view in views],
            comparisons=[[comparison_view(item) for item in view.of_kind("comparison")] for view in views],
            overview=[_overview_row(run) for run in runs],
            differences=_differences(views),
            metric_rows=_metric_rows(views),
            embedder=embedder,
            written_at=datetime.now(UTC).strftime("%-d %B %Y, %H:%M UTC"),
            version=__version__,
            css=_asset("style.css"),
            javascript=_asset("charts.js"),
        )
    )
    return text


@cache
def _environment() -> Any:
    jinja2 = require("jinja2", "imitation")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        significant=numbers.significant,
        count=numbers.count,
        percent=numbers.percent,
        duration=numbers.duration,
        size=numbers.size,
    )
    return environment


def _asset(name: str) -> str:
    return (files("etude.report") / name).read_text(encoding="utf-8")


def _distinct(views: list[RunView]) -> list[RunView]:
    """The same folder named twice is one run."""
    found: dict[Path, RunView] = {}
    for view in views:
        found.setdefault(view.folder.root.resolve(), view)
    if not found:
        raise RunFolderError("no run folder was given", hint="etude report outputs/train/NAME")
    return list(found.values())


def _default_output(views: list[RunView]) -> Path:
    if len(views) == 1:
        return views[0].folder.report_path
    parents = {view.folder.root.resolve().parent for view in views}
    return (parents.pop() if len(parents) == 1 else Path.cwd()) / "report.html"


def _overview_row(run: RunSection) -> dict[str, Any]:
    view, best = run.view, best_rollout(run.view)
    low = lowest(view.curves.get("val/loss", []))
    return {
        "run": run,
        "policy": policy_type(view),
        "dataset": dataset_name(view),
        "steps": view.steps_done,
        "time": wall_time(view),
        "val_loss": low[1] if low else None,
        "success": best.result.success_rate if best else None,  # type: ignore[union-attr]
    }


def _metric_rows(views: Sequence[RunView]) -> list[dict[str, Any]]:
    rows = []
    for number, view in enumerate(views):
        for name, points in sorted(view.curves.items()):
            good = finite(points)
            values = [value for _, value in good]
            rows.append(
                {
                    "run": number,
                    "name": name,
                    "points": len(points),
                    "gaps": len(points) - len(good),
                    "first": values[0] if values else None,
                    "last": values[-1] if values else None,
                    "lowest": min(values, default=None),
                    "highest": max(values, default=None),
                }
            )
    return rows


def _differences(views: Sequence[RunView]) -> list[tuple[str, list[str]]]:
    """The settings in which several runs differ, one row a setting."""
    if len(views) < 2:
        return []
    flat = [dict(_flatten(view.manifest.config)) for view in views]
    keys = dict.fromkeys(itertools.chain.from_iterable(flat))
    missing = "–"
    rows = [(key, [settings.get(key, missing) for settings in flat]) for key in keys]
    ignored = ("output_dir", "job_name")
    return [(key, values) for key, values in rows if len(set(values)) > 1 and key not in ignored]


def _flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        parts = [_flatten(item, f"{prefix}.{key}" if prefix else str(key)) for key, item in value.items()]
        return list(itertools.chain.from_iterable(parts))
    return [(prefix, value if isinstance(value, str) else json.dumps(value, default=str))]
