"""`etude train`: train a policy from demonstrations, or continue a run."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etude.cli.pasteable import command_line, pasteable, seen_from_here
from etude.cli.progress import TrainingDisplay, format_duration
from etude.config import Resolved, dump_yaml, resolve

if TYPE_CHECKING:
    from etude.imitation.run import Result

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 when the run finished, or stopped on SIGTERM with a saved checkpoint."""
    resolved = resolve(argv)
    request = resolved.request
    if request.help:
        from etude.cli.train_arguments import help_text

        print(help_text(request.policy_type))
        return 0
    _set_up_logging(request.log_level)
    from etude.imitation.settings import decode, encode

    settings = decode(resolved)
    if request.print_config:
        for note in resolved.notes:
            print(note, file=sys.stderr)
        print(_as_text(encode(settings), as_json=request.json))
        return 0
    return _train(settings, resolved, argv)


def _train(settings: Any, resolved: Resolved, argv: Sequence[str]) -> int:
    from etude.cli.train_rollouts import make_rollout
    from etude.imitation.run import train

    display = _Display(quiet=resolved.request.json)
    for note in resolved.notes:
        display.note(note)
    try:
        result = train(
            settings,
            command=["etude", "train", *argv],
            display=display,
            resume=resolved.request.resume is not None,
            resume_step=resolved.request.resume_step,
            make_rollout=make_rollout,
        )
    finally:
        display.finished()
    if resolved.request.json and result.is_main:
        print(json.dumps(_summary(result), indent=2))
    elif result.is_main:
        _tell(result, settings)
    return 130 if result.outcome.signal == signal.SIGINT else 0


class _Display(TrainingDisplay):
    """The progress display, and the long steps before the first update."""

    _shown = -1

    def note(self, line: str) -> None:
        """Tell of an event, with commands as they are called from here."""
        super().note(pasteable(line))

    def preparing(self, what: str, done: int, total: int) -> None:
        """Tell how far the preparation is, every tenth of it."""
        tenth = 10 * done // max(total, 1)
        if tenth > self._shown and not self._quiet:
            self._shown = tenth
            self.note(f"{what}: {done} of {total}")


def _tell(result: Result, settings: Any) -> None:
    """What the run came to, where it lies, and what to do next."""
    outcome, root = result.outcome, result.run.root
    done = {"finished": "finished", "early": "stopped early: no improvement", "stopped": "stopped"}[outcome.status]
    print(
        f"{done} at step {outcome.step}, {format_duration(result.manifest.summary['wall_s'])}",
        file=sys.stderr,
    )
    best = result.run.checkpoints.named("best")
    print(f"run         {root}")
    if outcome.checkpoint is not None:
        print(f"checkpoint  {root / 'checkpoints' / 'last'} (step {outcome.checkpoint.step})")
    if best is not None:
        print(f"best        {root / 'checkpoints' / 'best'} (step {best.step})")
    if settings.options.mlflow.enable:
        from etude.tracking import TrackingSettings, ui_command

        line = ui_command(TrackingSettings.build(settings.options, settings.lerobot.wandb))
        print(f"curves      {pasteable(line)}")
    print("next")
    if outcome.status == "stopped":
        print(f"  {command_line(['train', '--resume', str(root)])}")
    dataset = seen_from_here(result.manifest.dataset["root"])
    print(f"  {command_line(['evaluate', f'--policy.path={root}', f'--dataset.root={dataset}'])}")
    print(f"  {command_line(['report', str(root)])}")


def _summary(result: Result) -> dict[str, Any]:
    best = result.run.checkpoints.named("best")
    checkpoint = result.outcome.checkpoint
    return {
        "run": str(result.run.root),
        "status": result.outcome.status,
        "step": result.outcome.step,
        "checkpoint": str(checkpoint.path) if checkpoint else None,
        "best": str(best.path) if best else None,
        "wall_s": result.manifest.summary["wall_s"],
    }


def _as_text(config: dict[str, Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(config, indent=2)
    return dump_yaml(config).rstrip()


class _ToStandardError(logging.Handler):
    """Writes to standard error as it is when a record comes, not as it was when logging was set up."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        print(self.format(record), file=sys.stderr)


def _set_up_logging(level: str) -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[_ToStandardError()], force=True)
    logging.getLogger("etude").setLevel(level)
    if level == "DEBUG":
        logging.getLogger("lerobot").setLevel(level)
