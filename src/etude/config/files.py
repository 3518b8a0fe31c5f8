"""Config files: JSON or YAML, of any of the layouts that are around.

- the documents' sections `policy`, `dataset`, `training`, `output`, `wandb`;
- LeRobot's `train_config.json`, and the folder that holds it;
- what `etude train --print-config` prints;
- the `run.json` of a run, and the run folder itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from etude.config.scalars import parse_scalar
from etude.errors import UsageError, nearest

__all__ = ["ConfigFile", "dump_yaml", "read_config", "up_to_date"]

MANIFEST, TRAIN_CONFIG = "run.json", "train_config.json"
# Settings of a recorded run that say where it was, not what it was.
_PLACE = ("output_dir", "checkpoint_path", "resume")
# frames.cache of older runs, as frames.store.
_STORE_OF_CACHE = {"memory": "off", "off": "video"}


@dataclass(frozen=True)
class ConfigFile:
    """A config file as it was written.

    Attributes:
        recorded: it was written by a run; the `output_dir` in it, that run's folder, is left out here.
    """

    path: Path
    values: dict[str, Any]
    recorded: bool = False


def read_config(path: Path) -> ConfigFile:
    """Read a config file, or the one in a run folder or a `pretrained_model` folder.

    Raises:
        UsageError: it is absent, not readable, or not a mapping.
    """
    file = _file_in(path) if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        _refuse_absent(file, error)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"config file {file} is not readable: {error}") from error
    values = _parse(file, text)
    if not isinstance(values, dict):
        raise UsageError(
            f"config file {file} must hold a mapping of settings, got {type(values).__name__}",
            hint='for example {"policy": {"type": "act"}, "training": {"steps": 20000}}',
        )
    is_manifest = isinstance(values.get("config"), dict) and {"kind", "name"} <= values.keys()
    if is_manifest:
        values = values["config"]
    recorded = is_manifest or file.name == TRAIN_CONFIG
    if recorded:
        values = up_to_date({name: value for name, value in values.items() if name not in _PLACE})
    return ConfigFile(file, values, recorded)


def up_to_date(recorded: dict[str, Any]) -> dict[str, Any]:
    """The settings that an older version wrote down, by today's names."""
    frames = recorded.get("frames")
    if not isinstance(frames, dict) or "cache" not in frames:
        return recorded
    kept = {name: value for name, value in frames.items() if name != "cache"}
    return {**recorded, "frames": {"store": _STORE_OF_CACHE.get(frames["cache"], "auto"), **kept}}


def dump_yaml(values: dict[str, Any]) -> str:
    """Settings as YAML, which `read_config` reads back."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def _file_in(folder: Path) -> Path:
    for name in (MANIFEST, TRAIN_CONFIG, f"pretrained_model/{TRAIN_CONFIG}"):
        if (folder / name).is_file():
            return folder / name
    raise UsageError(
        f"--config: the folder {folder} holds neither {MANIFEST} nor {TRAIN_CONFIG}",
        hint="give a JSON or YAML file, or a run folder",
    )


def _refuse_absent(file: Path, error: Exception) -> NoReturn:
    siblings = [item.name for item in file.parent.iterdir()] if file.parent.is_dir() else []
    close = nearest(file.name, siblings)
    hint = f"did you mean {file.parent / close[0]}?" if close else "give the path of a JSON or YAML file"
    raise UsageError(f"there is no config file {file}", hint=hint) from error


def _parse(file: Path, text: str) -> Any:
    try:
        if file.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_without_duplicates)
        return yaml.load(text, Loader=_Loader)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"config file {file} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UsageError(f"config file {file} is not valid YAML: {where}{problem}") from error
    except _DuplicateKeyError as error:
        raise UsageError(f"config file {file} has the key {error} twice") from error


class _Dumper(yaml.SafeDumper):
    """YAML that quotes text which the loader would take for a number, `1e5`."""


def _quoted(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if parse_scalar(value) == value else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _quoted)


class _DuplicateKeyError(ValueError):
    """Both parsers would keep the last one without a word."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for name, value in pairs:
        if name in mapping:
            raise _DuplicateKeyError(name)
        mapping[name] = value
    return mapping


class _Loader(yaml.SafeLoader):
    """YAML with numbers as people write them (`1e-5`), Python's `None`, and no repeated keys."""


def _plain(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    if node.style:
        return node.value
    value = parse_scalar(node.value)
    # A plain scalar holds no list: `0,1` in a file stays text until its setting asks for a list.
    return node.value if isinstance(value, list | dict) else value


def _null(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> None:
    return None


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)  # merge keys, `<<: *base`
    pairs = [
        (str(loader.construct_object(name)), loader.construct_object(value, deep=True)) for name, value in node.value
    ]
    return _without_duplicates(pairs)


for _tag in ("int", "float", "bool", "str", "timestamp"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _plain)
_Loader.add_constructor("tag:yaml.org,2002:null", _null)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
