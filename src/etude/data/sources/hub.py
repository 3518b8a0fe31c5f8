"""The Hugging Face hub: the one file that talks to it for datasets. Its errors become sentences."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etude.data.sources.info import V21, V30
from etude.errors import DatasetError, StorageError
from etude.extras import require
from etude.runs.atomic import TEMPORARY_PREFIX

__all__ = ["best_revision", "cached_snapshot", "download", "download_to", "explained", "lerobot_home"]

logger = logging.getLogger(__name__)

REVISIONS = (V30, V21, "main")
"""Tags under which the hub keeps a dataset's versions, best first."""

PARTS = ["meta/*", "data/*", "videos/*", "README.md", "LICENSE*"]


def lerobot_home() -> Path:
    """LeRobot's folder for datasets: $HF_LEROBOT_HOME, else `lerobot` below $HF_HOME."""
    given = os.environ.get("HF_LEROBOT_HOME")
    if given:
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(cache, "huggingface")
    return Path(home).expanduser() / "lerobot"


def cached_snapshot(repo_id: str, revision: str | None) -> Path | None:
    """The newest copy of a dataset in LeRobot's cache or in the hub's own, without asking the network."""
    hub = require("huggingface_hub", "imitation")
    for cache in (lerobot_home() / "hub", None):
        for wanted in (revision,) if revision else REVISIONS:
            try:
                found = hub.try_to_load_from_cache(
                    repo_id, "meta/info.json", cache_dir=cache, revision=wanted, repo_type="dataset"
                )
            except ValueError:  # not a name that the hub allows
                return None
            if isinstance(found, str):
                return Path(found).parent.parent
    return None


def download(repo_id: str, revision: str | None, because: str = "") -> Path:
    """Download a dataset into LeRobot's cache; what is there already is not downloaded again.

    Args:
        because: why a download is needed although there is a copy, for the error.

    Raises:
        DatasetError: the hub cannot be reached, refuses, or has no such dataset.
    """
    return Path(_fetch(repo_id, revision, because, cache_dir=lerobot_home() / "hub"))


def download_to(repo_id: str, folder: Path, revision: str | None, because: str) -> None:
    """Download a dataset to `folder`, which appears only when it is complete.

    Args:
        because: why a download is needed at all, for the error.

    Raises:
        DatasetError: the hub cannot be reached, refuses, or has no such dataset.
    """
    # A fixed name, so that a second attempt goes on where the first one stopped.
    partial = folder.with_name(f"{TEMPORARY_PREFIX}download-{folder.name}")
    _fetch(repo_id, revision, because, local_dir=partial)
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)


def _fetch(repo_id: str, revision: str | None, because: str, **where: Any) -> str:
    hub = require("huggingface_hub", "imitation")

    def fetch() -> str:
        chosen = revision or _best_revision(hub, repo_id)
        logger.info("downloading %s (%s)", repo_id, chosen)
        return str(hub.snapshot_download(repo_id, repo_type="dataset", revision=chosen, allow_patterns=PARTS, **where))

    return explained(fetch, repo_id, revision, because)


def best_revision(repo_id: str) -> str:
    """The newest version of a dataset that can be used, as the hub tags it; `main` where it tags none.

    Raises:
        DatasetError: the hub cannot be reached, refuses, or has no such dataset.
    """
    return explained(lambda: _best_revision(require("huggingface_hub", "imitation"), repo_id), repo_id, None)


def _best_revision(hub: Any, repo_id: str) -> str:
    tags = {reference.name for reference in hub.HfApi().list_repo_refs(repo_id, repo_type="dataset").tags}
    return next((name for name in REVISIONS if name in tags), "main")


def explained[T](fetch: Callable[[], T], repo_id: str, revision: str | None, because: str = "") -> T:
    """What `fetch` returns; what goes wrong on the way to the hub becomes a sentence.

    Args:
        because: why the hub is asked at all.

    Raises:
        DatasetError: the hub cannot be reached, refuses, or has no such dataset.
        StorageError: a full or read-only disk.
    """
    errors = require("huggingface_hub.errors", "imitation")
    httpx = require("httpx", "imitation")
    start = f"{because + ', and ' if because else ''}the dataset {repo_id} cannot be downloaded: "
    local = "if you have the dataset in a folder, name that: --dataset.root=DIR"
    token = "log in with `hf auth login`, or set HF_TOKEN to a token that may read it"
    try:
        return fetch()
    except errors.OfflineModeIsEnabled as error:
        hint = f"unset HF_HUB_OFFLINE, or {local}"
        raise DatasetError(f"{start}this machine is set to offline (HF_HUB_OFFLINE)", hint=hint) from error
    except errors.GatedRepoError as error:
        hint = f"ask for access at https://huggingface.co/datasets/{repo_id}, then {token}"
        raise DatasetError(f"{start}access has to be granted by its owner", hint=hint) from error
    except errors.RepositoryNotFoundError as error:
        raise DatasetError(
            f"{start}the hub has none of this name, or it is private and this machine may not read it",
            hint=f"check the spelling at https://huggingface.co/datasets/{repo_id}; if it is private, {token}",
        ) from error
    except errors.RevisionNotFoundError as error:
        hint = f"see https://huggingface.co/datasets/{repo_id}/tree/main for what there is"
        raise DatasetError(f"{start}it has no revision {revision!r}", hint=hint) from error
    except errors.HFValidationError as error:
        raise DatasetError(f"{start}the hub does not allow this name", hint="names look like USER/NAME") from error
    except (errors.HfHubHTTPError, httpx.HTTPStatusError) as error:
        status = getattr(getattr(error, "response", None), "status_code", "an error")
        hint = token if status in (401, 403) else "try again in a while"
        raise DatasetError(f"{start}the hub answered {status}", hint=hint) from error
    except (httpx.HTTPError, errors.LocalEntryNotFoundError, ConnectionError) as error:
        raise DatasetError(
            f"{start}the hub cannot be reached from here", hint=f"check the network, or {local}"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise StorageError(
                f"{start}{error.strerror}", hint="free some space, or set HF_HOME to another disk"
            ) from error
        raise
