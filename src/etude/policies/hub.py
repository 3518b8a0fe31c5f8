"""What to say when a part of a policy must come from the Hugging Face hub and does not."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from etude.errors import CheckpointError, EtudeError, UsageError

__all__ = ["causes", "explain_hub", "hub_names"]

_HUB_ID = re.compile(r"[A-Za-z][\w.-]*/[\w.-]+")
_MENTIONED = (
    re.compile(r"huggingface\.co/(?:api/models/)?([\w.-]+/[\w.-]+)/"),
    re.compile(r"([\w.-]+/[\w.-]+) is not the path to a directory"),
    re.compile(r"^([\w.-]+/[\w.-]+) is not a local folder"),
    re.compile(r"can't load .* for '([\w.-]+/[\w.-]+)'", re.IGNORECASE),
)
# What libraries say in errors of their own, instead of the hub's.
_UNREACHABLE = ("couldn't connect", "not a valid model identifier", "outgoing traffic", "offline mode is enabled")
# Models whose owners ask for a licence to be accepted; the hub tells so only when it can be reached.
_GATED = ("google/paligemma", "google/gemma", "meta-llama/", "nvidia/Cosmos")


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that led to it."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def hub_names(config: Any) -> dict[str, str]:
    """Settings of a policy that name something on the hub: field to hub id.

    Args:
        config: a policy's configuration, or its class, whose defaults then count.
    """
    values = {field.name: getattr(config, field.name, None) for field in dataclasses.fields(config)}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str) and _HUB_ID.fullmatch(value) and not Path(value).exists() and name != "repo_id"
    }


def explain_hub(error: BaseException, policy_type: str, config: Any) -> EtudeError | None:
    """The error to show when the hub is behind `error`; None when it is not.

    Args:
        config: the policy's configuration, or its class where there is none yet.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    chain = list(causes(error))
    if any(isinstance(cause, HFValidationError) for cause in chain):
        return _no_such_folder(policy_type, config)
    hub = (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled)
    text = "\n".join(map(str, chain))
    if not any(isinstance(cause, hub) for cause in chain) and not any(sign in text for sign in _UNREACHABLE):
        return None
    flags = hub_names(config)
    names = _mentioned(text, flags)
    if any(isinstance(cause, GatedRepoError) for cause in chain):
        reason, way = "its licence is not accepted yet, or HF_TOKEN is missing", _licence(names)
    elif os.environ.get("HF_HUB_OFFLINE", "0").lower() not in ("", "0", "false", "no"):
        reason, way = "HF_HUB_OFFLINE is set", f"unset HF_HUB_OFFLINE once to download{_gated(names)}"
    elif any(isinstance(cause, RepositoryNotFoundError) for cause in chain):
        reason, way = "there is none of this name, or it is private", "check the name, and export HF_TOKEN=..."
    else:
        reason, way = "it cannot be reached", f"try again with a network{_gated(names)}"
    local = [f"--policy.{field}=DIR" for field, value in flags.items() if value in names]
    copies = f"; local copies work too: {' '.join(local)}" if local else ""
    return CheckpointError(
        f"policy {policy_type} needs {' and '.join(names) or 'files'} from the Hugging Face hub: {reason}",
        hint=way + copies,
    )


def _mentioned(text: str, flags: Mapping[str, str]) -> list[str]:
    """The names on the hub that the errors are about; all of the policy's where they do not say."""
    found = [name for pattern in _MENTIONED for name in pattern.findall(text)]
    found = [name for name in found if not name.startswith(("docs/", "api/"))]
    found += [name for name in flags.values() if name in text]
    return sorted(set(found)) or sorted(set(flags.values()))


def _gated(names: list[str]) -> str:
    gated = [name for name in names if name.startswith(_GATED)]
    return f" ({_licence(gated)})" if gated else ""


def _licence(names: list[str]) -> str:
    pages = " and ".join(f"https://huggingface.co/{name}" for name in names)
    return f"accept the licence at {pages}, then export HF_TOKEN=..."


def _no_such_folder(policy_type: str, config: Any) -> EtudeError:
    """A value that is neither a folder nor fit to be a name on the hub."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name, None)
        if isinstance(value, str) and "/" in value and not _HUB_ID.fullmatch(value) and not Path(value).exists():
            return UsageError(f"policy.{field.name}={value}: there is no such folder")
    return UsageError(f"policy {policy_type}: one of its settings is neither a folder nor a name on the hub")
