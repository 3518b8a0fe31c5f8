"""From a command line to settings: read it, read its config file, translate names, fill in defaults.

What is typed wins over the file, and the file over the defaults. Names and types are checked where the
classes that define them can be loaded (`etude.imitation.settings`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.config import aliases, nested
from etude.config.arguments import Argument, read_arguments
from etude.config.defaults import apply_defaults
from etude.config.files import ConfigFile, read_config
from etude.config.names import refuse_unknown_names
from etude.config.request import COMMAND_LINE, RECORDED, Request, Resolved
from etude.config.resume import locate_run, may_change, recorded_settings, refuse_changes
from etude.config.scalars import parse_episodes, parse_scalar, show
from etude.errors import UsageError, nearest

__all__ = ["resolve"]

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_CONTROL = ("config", "resume", "print_config", "json", "log_level")
_HUB_NAMES = ("dataset.repo_id", "dataset_repo_id", "dataset", "-d", "policy.repo_id")
_EPISODES = ("dataset.episodes", "exclude_episodes")


@dataclass(frozen=True)
class Setting:
    """One setting as written in one place."""

    path: nested.Path
    value: Any
    source: str
    text: str | None = None

    @property
    def typed(self) -> bool:
        return self.source.startswith(COMMAND_LINE)


def resolve(argv: Sequence[str]) -> Resolved:
    """Settings from the arguments of `etude train`.

    Raises:
        UsageError: an argument, a config file or a value is not usable.
        RunFolderError: `--resume` names no run.
    """
    arguments = read_arguments(argv)
    if any(argument.name in ("-h", "help") for argument in arguments):
        kind = next((a.text for a in reversed(arguments) if a.name in _POLICY_TYPE), None)
        return Resolved(request=Request(help=True, policy_type=aliases.POLICY_SPELLINGS.get(kind or "", kind)))
    control, settings = _read(arguments)
    file = read_config(Path(control["config"])) if control.get("config") else None
    if file:
        settings = [*_from_file(file, control), *settings]
    for setting in settings:
        _refuse_unexpanded(setting)
    resolution = _Resolution()
    resolution.add(settings)
    if file and file.recorded:
        resolution.notes.append(f"{file.path} was written by a run: this one gets a folder of its own")
    return resolution.finish(control, file)


_POLICY_TYPE = ("policy.type", "policy_type", "policy", "-p")


class _Resolution:
    """Settings being gathered."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.notes: list[str] = []

    def add(self, settings: list[Setting]) -> None:
        """Translate the names and keep, of each setting, what was written last."""
        context = aliases.Context(_policy_type(settings), any(item.path[0] == "env" for item in settings))
        for setting in settings:
            translated, notes = aliases.translate(setting.path, setting.value, context)
            self.notes.extend(note for note in notes if note not in self.notes)
            for path, value in translated:
                text = setting.text if value is setting.value else None
                self._keep(dataclasses.replace(setting, path=path, value=value, text=text))
        for name in ("policy", "dataset"):
            section = self.values.get(name, {})
            if not isinstance(section, dict):
                source = self.sources.get(name)
                raise UsageError(
                    f"{name} must be a mapping, got {show(section)} ({source})",
                    hint="for example --policy.type=act --dataset.repo_id=lerobot/pusht",
                )
        self._choose("policy.type", "policy.path", agree=True)
        self._choose("steps", "num_epochs", agree=False)

    def _keep(self, setting: Setting) -> None:
        key = nested.dotted(setting.path)
        value = parse_episodes(setting.value, key) if key in _EPISODES else setting.value
        before = self.sources.get(key)
        if before == setting.source and not setting.typed and nested.get(self.values, key) != value:
            both = f"{show(nested.get(self.values, key))} and {show(value)}"
            raise UsageError(f"{setting.source} sets {key} twice: to {both}", hint="keep one of the two")
        for below in [name for name in self.sources if name.startswith(f"{key}.")]:
            del self.sources[below]
        if key == "plugins":
            value = [*self.values.get("plugins", []), *(value if isinstance(value, list) else [value])]
        nested.put(self.values, setting.path, value)
        self.sources[key] = setting.source
        self.texts.pop(key, None)
        if setting.text is not None:
            self.texts[key] = setting.text

    def _choose(self, first: str, second: str, agree: bool) -> None:
        """Where two settings decide the same, the typed one counts."""
        for key in (first, second):
            if nested.get(self.values, key) is None:
                self._forget(key)
        sources = [self.sources.get(key) for key in (first, second)]
        if sources[0] is None or sources[1] is None:
            return
        typed = [source.startswith(COMMAND_LINE) for source in sources if source]
        if typed[0] == typed[1]:
            if agree:
                return
            told = f"{first} ({sources[0]}) and {second} ({sources[1]})"
            raise UsageError(f"{told} are both given, and only one can count", hint="give one")
        loser, winner = (second, first) if typed[0] else (first, second)
        self.notes.append(f"{winner} is typed, so {loser} from {self.sources[loser]} is left out")
        self._forget(loser)

    def _forget(self, key: str) -> None:
        nested.drop(self.values, key)
        self.sources.pop(key, None)
        self.texts.pop(key, None)

    def finish(self, control: dict[str, Any], file: ConfigFile | None) -> Resolved:
        """Settings of a new run with its defaults, or of a run to continue."""
        register = self.values.pop("register", None)
        self.sources.pop("register", None)
        resume, step = _resume_target(control, file, self.values)
        request = Request(
            print_config=control.get("print_config", False),
            json=control.get("json", False),
            log_level=_log_level(control.get("log_level", "INFO")),
            resume=resume,
            resume_step=step,
            register=register,
        )
        if resume:
            self._continue(resume, step, file)
        else:
            apply_defaults(self.values, self.sources)
            _refuse_missing_dataset(self.values)
        resolved = Resolved(self.values, self.sources, self.notes, request, self.texts)
        refuse_unknown_names(resolved)
        return resolved

    def _continue(self, run: Path, step: int | None, file: ConfigFile | None) -> None:
        """Take the run's own settings, and of the given ones those that may change."""
        recorded = json.loads(json.dumps(recorded_settings(run, step)))
        given, sources = self.values, self.sources
        within = file is not None and file.recorded
        self.values, self.sources = recorded, dict.fromkeys(recorded, RECORDED)
        refused = []
        for path, value in nested.leaves(given):
            key = nested.dotted(path)
            source = sources.get(key, RECORDED)
            before = nested.get(recorded, key)
            if within and not source.startswith(COMMAND_LINE):
                continue
            if before == value or (key == "output_dir" and Path(str(value)).resolve() == run.resolve()):
                continue
            if not may_change(key):
                refused.append((key, before, value))
                continue
            nested.put(self.values, path, value)
            self.sources[key] = source
        refuse_changes(refused)
        for key, other in (("steps", "num_epochs"), ("num_epochs", "steps")):
            if self.sources.get(key, RECORDED) != RECORDED:
                self._forget(other)
        self.values.update(output_dir=str(run), resume=False)


def _read(arguments: Iterable[Argument]) -> tuple[dict[str, Any], list[Setting]]:
    control: dict[str, Any] = {}
    settings: list[Setting] = []
    for argument in arguments:
        name = "config" if argument.name == "config_path" else argument.name
        value = True if argument.text is None else parse_scalar(argument.text)
        if name not in _CONTROL:
            source = f"{COMMAND_LINE} ({argument.flag})"
            settings.append(Setting(tuple(name.split(".")), value, source, argument.text))
        elif name == "config":
            if not argument.text:
                raise UsageError(f"{argument.flag} needs a file", hint="for example --config=train.yaml")
            control[name] = argument.text
        elif name in ("print_config", "json"):
            control[name] = _boolean(argument.flag, value)
        else:
            control[name] = argument.text if isinstance(value, str) else value
    return control, settings


def _from_file(file: ConfigFile, control: dict[str, Any]) -> list[Setting]:
    settings = []
    for path, value in nested.leaves(file.values):
        inner = path[1:] if path[0] in aliases.SECTIONS else path
        if not inner:
            if value in (None, {}):
                continue
            raise UsageError(f"{file.path}: the section {path[0]} must hold settings, got {show(value)}")
        if inner[0] in _CONTROL and len(inner) == 1:
            if inner[0] not in ("config", "json", "print_config"):
                control.setdefault(inner[0], value)
            continue
        settings.append(Setting(path, value, f"file {file.path}"))
    return settings


def _policy_type(settings: list[Setting]) -> str | None:
    """The policy type as far as it can be told here: typed, else in the file, else in the policy's files."""
    typed: dict[str, Any] = {}
    for setting in settings:
        key = nested.dotted(setting.path)
        if key in _POLICY_TYPE and isinstance(setting.value, str):
            typed["type"] = aliases.POLICY_SPELLINGS.get(setting.value.lower(), setting.value)
        if key in ("policy.path", "policy_path", "policy_repo_id") and setting.value:
            if setting.typed:
                typed.pop("type", None)
            typed["path"] = setting.value
    if "type" in typed or "path" not in typed:
        return str(typed.get("type", "act"))
    for below in ("", "pretrained_model", "checkpoints/last/pretrained_model"):
        config = Path(str(typed["path"])) / below / "config.json"
        try:
            kind = json.loads(config.read_text(encoding="utf-8")).get("type")
        except (OSError, ValueError, AttributeError):
            continue
        return str(kind)
    return None


def _resume_target(
    control: dict[str, Any], file: ConfigFile | None, values: dict[str, Any]
) -> tuple[Path | None, int | None]:
    wanted = control.get("resume")
    if wanted in (None, False):
        return None, None
    if wanted is not True:
        return locate_run(Path(str(wanted)))
    if file and file.recorded:
        return locate_run(file.path)
    if values.get("output_dir"):
        return locate_run(Path(str(values["output_dir"])))
    if values.get("job_name"):
        return locate_run(Path("outputs/train") / str(values["job_name"]))
    raise UsageError("--resume does not say which run", hint="give its folder: etude train --resume outputs/train/NAME")


def _refuse_unexpanded(setting: Setting) -> None:
    for _, value in nested.leaves({"": setting.value}):
        if isinstance(value, str) and "${" in value:
            raise UsageError(
                f"{nested.dotted(setting.path)} holds a variable that nobody filled in: {value!r}",
                hint="set it (export HF_USER=...); on the command line, do not put it in single quotes",
            )
    key = nested.dotted(setting.path)
    if key in _HUB_NAMES and str(setting.value).startswith("/"):
        raise UsageError(
            f"{key} must be a name on the hub such as user/dataset, got {setting.value!r}",
            hint="a folder is given with --dataset.root=DIR; or the variable before the slash is empty",
        )


def _refuse_missing_dataset(values: dict[str, Any]) -> None:
    if not nested.get(values, "dataset.repo_id"):
        raise UsageError(
            "no dataset is given",
            hint="--dataset.repo_id=lerobot/pusht for one on the hub, --dataset.root=DIR for a folder",
        )


def _log_level(value: Any) -> str:
    level = str(value).upper()
    if level in LOG_LEVELS:
        return level
    close = nearest(str(value), LOG_LEVELS)
    hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(LOG_LEVELS)}"
    raise UsageError(f"unknown log level {value!r}", hint=hint)


def _boolean(flag: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise UsageError(f"{flag} must be true or false, got {show(value)}")
