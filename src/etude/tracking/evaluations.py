"""An evaluation made after, or beside, the training: to the same MLflow and W&B run."""

from __future__ import annotations

import logging
import math
from pathlib import Path

from etude.errors import EtudeError
from etude.runs.folder import RunFolder
from etude.runs.results import ComparisonResult, ReplayResult, RolloutResult
from etude.tracking.settings import TrackingSettings
from etude.tracking.spool import Spool
from etude.tracking.syncing import SyncReport, sync

__all__ = ["evaluation_metrics", "log_evaluation"]

logger = logging.getLogger(__name__)

Result = RolloutResult | ReplayResult | ComparisonResult


def log_evaluation(
    run: RunFolder,
    result: Result,
    folder: Path,
    *,
    settings: TrackingSettings | None = None,
    timeout_s: float = 60.0,
) -> list[SyncReport]:
    """Send an evaluation's numbers, `result.json`, pictures and videos to the run's trackers, if it has any.

    The evaluation is queued first: what does not get through is sent by the next `etude track RUN`.

    Args:
        folder: the evaluation's folder, uploaded as `evaluations/NAME`.
        timeout_s: most time for one tracker, seconds.

    Returns:
        What was sent to which tracker; empty when the run has none. Never raises because of a server.
    """
    spool = Spool(run.root)
    start = spool.read_start()
    if not start or not {"mlflow", "wandb"} & set(start):
        return []
    step = getattr(result, "policy", {}).get("checkpoint_step") or 0
    try:
        spool.deliver(folder, f"evaluations/{folder.name}", step=int(step), metrics=evaluation_metrics(result))
        reports = sync(run, settings=settings, timeout_s=timeout_s)
    except (EtudeError, OSError) as error:
        logger.warning("the evaluation is in %s, not at the tracker: %s", folder, error)
        return []
    for report in reports:
        if report.state == "failed":
            logger.warning(
                "%s did not take the evaluation (%s); send it later with: etude track %s",
                report.tracker, report.reason, run.root,
            )  # fmt: skip
    return reports


def evaluation_metrics(result: Result) -> dict[str, float]:
    """The numbers of a result under the names that trackers show."""
    metrics: dict[str, float] = {}
    if isinstance(result, RolloutResult):
        for name, interval in (("success_rate", result.success_rate), ("mean_reward", result.mean_reward)):
            metrics[f"eval/{name}"] = interval.value
            metrics[f"eval/{name}_low"] = interval.low
            metrics[f"eval/{name}_high"] = interval.high
        metrics["eval/episodes"] = float(len(result.episodes))
    elif isinstance(result, ReplayResult):
        metrics = {"eval/replay_mse": result.mse, "eval/replay_mae": result.mae}
        metrics |= {f"eval/latency_{name}_ms": value for name, value in result.latency_ms.items()}
    else:
        metrics = {"eval/difference": result.difference.value, "eval/difference_p_value": result.p_value}
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
