"""What resolving a command line gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["COMMAND_LINE", "DEFAULT", "RECORDED", "Request", "Resolved"]

DEFAULT = "default"
COMMAND_LINE = "command line"
RECORDED = "the resumed run"


@dataclass(frozen=True)
class Request:
    """What the user asked for besides settings.

    Attributes:
        help: `--help` was given; nothing else was looked at, except `policy_type`.
        policy_type: the policy whose own flags `--help` is about.
        print_config: show the settings and stop.
        json: print for a script.
        resume: the run folder to continue, or null for a new run.
        resume_step: continue from this checkpoint; null means the newest intact one.
        log_level: DEBUG | INFO | WARNING | ERROR.
        register: the model name given with `--register`.
    """

    help: bool = False
    policy_type: str | None = None
    print_config: bool = False
    json: bool = False
    resume: Path | None = None
    resume_step: int | None = None
    log_level: str = "INFO"
    register: str | None = None


@dataclass(frozen=True)
class Resolved:
    """Settings by their canonical names, nested as in LeRobot's `train_config.json`.

    Attributes:
        values: the settings.
        sources: dotted key to where its value comes from: `command line (--batch-size)`, `file train.yaml`,
            `default` or `the resumed run`.
        notes: sentences that the user should read: what was mapped, what has no effect and why.
        request: what was asked for besides settings.
        texts: dotted key to the text typed for it, for settings that are text (`--job_name=007`).
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    request: Request = field(default_factory=Request)
    texts: dict[str, str] = field(default_factory=dict)

    def source(self, key: str) -> str:
        """Where the value of `key`, or of the mapping that holds it, comes from; for a mapping, its first value."""
        for name, source in self.sources.items():
            if name.startswith(f"{key}."):
                return source
        while key:
            if key in self.sources:
                return self.sources[key]
            key = key.rpartition(".")[0]
        return DEFAULT
