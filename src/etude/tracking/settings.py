"""What the user asked for, checked before anything is spent. Nothing here imports a tracking library."""

from __future__ import annotations

import configparser
import importlib.util
import netrc
import os
import re
import shlex
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from etude.config.mlflow_address import mlflow_uri
from etude.config.options import MlflowOptions, TrainOptions
from etude.errors import TrackingError, nearest
from etude.secrets.redaction import redact

__all__ = ["TrackingSettings", "WandbSettings", "ui_command"]

DEFAULT_EXPERIMENT = "etude"
WANDB_MODES = ("online", "offline", "disabled")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SCHEMES = ("http", "https", "file", "databricks", "databricks-uc", "uc", "azureml", *DATABASES)


@dataclass(frozen=True)
class WandbSettings:
    """LeRobot's `wandb` section, and tags.

    Attributes:
        mode: online | offline | disabled; null means WANDB_MODE, else online.
        run_id: continue this run of W&B's; null takes the one in `run.json`, else a new one.
        disable_artifact: upload no files.
    """

    enable: bool = False
    project: str = "lerobot"
    entity: str | None = None
    notes: str | None = None
    mode: str | None = None
    run_id: str | None = None
    disable_artifact: bool = False
    tags: tuple[str, ...] = ()

    @property
    def resolved_mode(self) -> str:
        mode = self.mode or os.environ.get("WANDB_MODE") or "online"
        return {"dryrun": "offline", "run": "online"}.get(mode, mode)

    @property
    def active(self) -> bool:
        return self.enable and self.resolved_mode != "disabled"

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            TrackingError: an unknown mode, W&B not installed, or online and not logged in.
        """
        if not self.enable:
            return
        if self.resolved_mode not in WANDB_MODES:
            close = nearest(self.resolved_mode, WANDB_MODES)
            raise TrackingError(
                f"unknown wandb.mode {self.resolved_mode!r}",
                hint=f"did you mean --wandb.mode={close[0]}?" if close else f"modes: {', '.join(WANDB_MODES)}",
            )
        if not self.active:
            return
        if importlib.util.find_spec("wandb") is None:
            raise TrackingError(
                "--wandb.enable=true needs wandb, which is not installed",
                hint="pip install 'etude[tracking]'",
            )
        if self.resolved_mode == "online" and not _wandb_credentials():
            raise TrackingError(
                f"not logged in to Weights & Biases ({_wandb_host()})",
                hint="run `wandb login`, set WANDB_API_KEY, or keep the run here: --wandb.mode=offline",
            )


@dataclass(frozen=True)
class TrackingSettings:
    """Where points go and how often.

    Attributes:
        interval_s: how often a courier sends, seconds.
        system_metrics_interval_s: how often the machine is sampled, seconds; 0 turns it off.
        close_timeout_s: how long the end of a run may wait for a server, seconds.
    """

    mlflow: MlflowOptions = field(default_factory=MlflowOptions)
    wandb: WandbSettings = field(default_factory=WandbSettings)
    interval_s: float = 2.0
    system_metrics_interval_s: float = 10.0
    close_timeout_s: float = 10.0

    @classmethod
    def build(cls, options: TrainOptions, wandb: Any = None) -> TrackingSettings:
        """From the options of `etude train` and LeRobot's `wandb` section (an object or a mapping)."""
        read = wandb.get if isinstance(wandb, dict) else lambda name, default: getattr(wandb, name, default)
        names = ("enable", "project", "entity", "notes", "mode", "run_id", "disable_artifact")
        given = {name: read(name, None) for name in names} if wandb is not None else {}
        section = WandbSettings(
            **{name: value for name, value in given.items() if value is not None},
            tags=tuple(options.wandb_tags),
        )
        return cls(
            mlflow=options.mlflow,
            wandb=section,
            interval_s=options.tracking_interval_s,
            system_metrics_interval_s=options.system_metrics_interval_s,
        )

    @property
    def mlflow_uri(self) -> str:
        """The tracking server: the flag, else MLFLOW_TRACKING_URI, else `mlflow.db` in the current folder."""
        return mlflow_uri(self.mlflow.tracking_uri)

    @property
    def mlflow_experiment(self) -> str:
        return self.mlflow.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT

    def check(self) -> None:
        """Refuse, before training, what cannot work.

        Raises:
            TrackingError: an address with an unknown scheme, or see `WandbSettings.check`.
        """
        if self.mlflow.enable:
            _check_scheme(
                self.mlflow_uri,
                "--mlflow.tracking_uri" if self.mlflow.tracking_uri else "MLFLOW_TRACKING_URI",
            )
        self.wandb.check()


def ui_command(settings: TrackingSettings | None = None) -> str:
    """The line that shows the runs: a shell command for a local store, the address of a server."""
    uri = (settings or TrackingSettings()).mlflow_uri
    if urlsplit(uri).scheme in ("http", "https"):
        return redact(uri)
    return f"mlflow ui --backend-store-uri {shlex.quote(redact(uri))}"


def _check_scheme(uri: str, source: str) -> None:
    if "://" not in uri:
        if uri in ("databricks", "databricks-uc", "uc") or not re.match(r"^[\w.-]+:\d+", uri):
            return  # a folder
        raise TrackingError(f"{source} {redact(uri)!r} has no scheme", hint=f"did you mean http://{redact(uri)}?")
    scheme = uri.split("://", 1)[0].lower().split("+")[0]
    plugins = {entry.name for entry in metadata.entry_points(group="mlflow.tracking_store")}
    if scheme not in {*SCHEMES, *plugins}:
        close = nearest(scheme, {*SCHEMES, *plugins})
        raise TrackingError(
            f"{source} {redact(uri)!r}: unknown scheme {scheme!r}",
            hint=f"nearest: {close[0]}://" if close else "for example http://host:5000 or sqlite:///mlflow.db",
        )
    if scheme in ("http", "https") and not urlsplit(uri).hostname:
        raise TrackingError(f"{source} {redact(uri)!r} names no host", hint="for example http://host:5000")


def _wandb_host() -> str:
    """The W&B server: WANDB_BASE_URL, else `base_url` of its settings files, else the public one."""
    url = os.environ.get("WANDB_BASE_URL")
    home = Path(os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb")
    for file in (Path("wandb") / "settings", home / "settings"):
        if not url:
            parser = configparser.ConfigParser(interpolation=None)
            try:
                parser.read(file)
            except (configparser.Error, OSError, UnicodeDecodeError):
                continue
            url = parser.get("default", "base_url", fallback=None)
    return urlsplit(url or "https://api.wandb.ai").netloc


def _wandb_credentials() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    given = os.environ.get("NETRC")
    for file in [Path(given)] if given else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            found = netrc.netrc(file).authenticators(_wandb_host())
        except (OSError, netrc.NetrcParseError):
            continue
        if found and found[2]:
            return True
    return False
