"""Pictures of a replay, as SVG files drawn without a display."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["plot_actions", "plot_cumulative", "plot_errors", "plot_latency"]

TRUE, PREDICTED, EXECUTED = "#30343b", "#c2410c", "#2563a8"
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": "#30343b",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": "#5b626b",
    "ytick.color": "#5b626b",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e7e9ec",
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "etude",
    "figure.constrained_layout.use": True,
}


def plot_actions(
    file: Path,
    names: Sequence[str],
    times: tuple[NDArray[Any], NDArray[Any]],
    true: NDArray[Any],
    predicted: NDArray[Any],
    executed: NDArray[Any],
) -> None:
    """Recorded, predicted and executed action of each joint over time.

    Args:
        times: seconds of every frame, `(frames,)`, and of the predicted ones, `(predictions,)`.
        true, executed: `(frames, action)`.
        predicted: `(predictions, action)`.
    """
    with _panels(file, names) as panels:
        for joint, panel in enumerate(panels):
            panel.plot(times[0], true[:, joint], color=TRUE, linewidth=1.6, label="recorded")
            panel.plot(times[1], predicted[:, joint], color=PREDICTED, linewidth=1.1, label="predicted")
            panel.plot(
                times[0],
                executed[:, joint],
                color=EXECUTED,
                linewidth=0.9,
                alpha=0.75,
                linestyle=(0, (3, 1.5)),
                label="executed from the queue",
            )


def plot_cumulative(
    file: Path, names: Sequence[str], time: NDArray[Any], true: NDArray[Any], predicted: NDArray[Any]
) -> None:
    """Running sum of the recorded and the predicted actions of each joint: where small errors add up.

    Args:
        time: seconds, `(predictions,)`.
        true, predicted: `(predictions, action)`.
    """
    with _panels(file, names) as panels:
        for joint, panel in enumerate(panels):
            panel.plot(time, true[:, joint].cumsum(), color=TRUE, linewidth=1.6, label="recorded")
            panel.plot(time, predicted[:, joint].cumsum(), color=PREDICTED, linewidth=1.1, label="predicted")


def plot_errors(file: Path, names: Sequence[str], time: NDArray[Any], error: NDArray[Any]) -> None:
    """Absolute error, joint by time. Each row is scaled by its own 95th percentile, printed beside it.

    Args:
        error: `(predictions, action)`, absolute, in the action's own unit.
    """
    import numpy

    scale = numpy.maximum(numpy.percentile(error, 95, axis=0), 1e-12)
    with _figure(file, (9, 0.9 + 0.34 * len(names))) as figure:
        axes = figure.add_subplot()
        end = float(time[-1]) + (float(time[1] - time[0]) if len(time) > 1 else 1.0)
        image = axes.imshow(
            (error / scale).T,
            aspect="auto",
            cmap="magma_r",
            vmin=0,
            vmax=1,
            interpolation="nearest",
            extent=(float(time[0]), end, len(names) - 0.5, -0.5),
        )
        axes.grid(visible=False)
        axes.set_yticks(range(len(names)), [f"{n}  (p95 {s:.3g})" for n, s in zip(names, scale, strict=True)])
        axes.set_xlabel("time, s")
        figure.colorbar(image, ax=axes, label="error / its p95", pad=0.01)


def plot_latency(file: Path, latency_ms: Sequence[float], planned: Sequence[bool], control_period_ms: float) -> None:
    """Histogram of the time from observation to action; the line is the control period."""
    import numpy

    values, plans = numpy.maximum(numpy.asarray(latency_ms), 1e-3), numpy.asarray(planned, dtype=bool)
    low, high = min(values.min(), control_period_ms), max(values.max(), control_period_ms)
    bins = numpy.geomspace(low * 0.9, high * 1.1, 50)
    with _figure(file, (9, 3)) as figure:
        axes = figure.add_subplot()
        groups = [
            (values[~plans], EXECUTED, "answered from the queue"),
            (values[plans], PREDICTED, "new plan"),
        ]
        groups = [group for group in groups if len(group[0])]
        axes.hist(
            [g[0] for g in groups],
            bins=bins,
            stacked=True,
            color=[g[1] for g in groups],
            label=[g[2] for g in groups],
        )
        axes.axvline(
            control_period_ms,
            color=TRUE,
            linestyle="--",
            linewidth=1.2,
            label=f"control period {control_period_ms:.3g} ms",
        )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("time from observation to action, ms")
        axes.set_ylabel("frames")
        axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.2))


@contextlib.contextmanager
def _panels(file: Path, names: Sequence[str]) -> Iterator[list[Any]]:
    """One small chart a joint, two in a row, one legend for all."""
    columns = 1 if len(names) == 1 else 2
    rows = -(-len(names) // columns)
    with _figure(file, (9, 0.7 + 1.5 * rows)) as figure:
        panels = [figure.add_subplot(rows, columns, number + 1) for number in range(len(names))]
        yield panels
        for name, panel in zip(names, panels, strict=True):
            panel.set_title(name)
        for panel in panels[-columns:]:
            panel.set_xlabel("time, s")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)


@contextlib.contextmanager
def _figure(file: Path, size: tuple[float, float]) -> Iterator[Any]:
    matplotlib = require("matplotlib", "imitation")
    figure_class = require("matplotlib.figure", "imitation").Figure
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=size)  # no pyplot: no global state and no display
        yield figure
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None})
