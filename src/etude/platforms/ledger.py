"""Which jobs were sent from this machine: written down before anything is sent, so that none is lost or sent twice.

STATE/jobs/NAME.json     one job; NAME is unique, and is the job's name on its platform
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from etude.errors import JobError, StorageError, nearest
from etude.platforms.handles import Handle, is_handle
from etude.runs.atomic import write_json

__all__ = ["Entry", "Ledger", "unique_name"]

LONGEST_TITLE = 40
"""Of a name's readable part: some platforms take 58 characters in all."""


def unique_name(title: str) -> str:
    """A job's name from what a person calls it: letters, digits and dashes, and a part that no other job has."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-").lower()[:LONGEST_TITLE].strip("-") or "job"
    if not readable[0].isalpha():
        readable = f"job-{readable}"[:LONGEST_TITLE]
    return f"{readable}-{uuid.uuid4().hex[:10]}"


@dataclass(frozen=True)
class Entry:
    """A job as it is remembered.

    Attributes:
        name: on its platform.
        platform: local | azureml | osmo.
        settings: what the platform is opened with: subscription, workspace; nothing secret.
        title: what a person calls it.
        command: the command line, as typed (it holds no secret).
        bundle: digest of what was sent.
        created: seconds since 1970.
        handle: of the job; empty while it is not known whether the platform has it.
    """

    name: str
    platform: str
    title: str
    command: Sequence[str]
    bundle: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    handle: str = ""

    @property
    def is_sent(self) -> bool:
        """Whether the platform has said that it has the job."""
        return bool(self.handle)


class Ledger:
    """The jobs sent from here.

    Args:
        folder: one file for each job; made when it is absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, entry: Entry) -> None:
        """Write a job down, before it is sent.

        Raises:
            StorageError: it cannot be written; nothing must be sent then.
        """
        self._write(entry)

    def sent(self, entry: Entry, handle: Handle) -> Entry:
        """Note that the platform has the job."""
        known = replace(entry, handle=str(handle))
        self._write(known)
        return known

    def forget(self, name: str) -> None:
        """A job that was refused, and is nowhere."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def entry(self, name: str) -> Entry:
        """One job by its name.

        Raises:
            JobError: it is not here, or its file is damaged.
        """
        file = self._folder / f"{name}.json"
        try:
            return Entry(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise self._unknown(name) from None
        except (ValueError, TypeError) as error:
            raise JobError(f"{file} is damaged: {error}", hint="remove it; the job itself is not touched") from error

    def entries(self) -> list[Entry]:
        """All jobs, the newest first; damaged files are left out."""
        found = []
        for file in self._folder.glob("[!.]*.json"):
            try:
                found.append(Entry(**json.loads(file.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):
                continue
        return sorted(found, key=lambda entry: entry.created, reverse=True)

    def find(self, text: str) -> Entry | None:
        """The job that is meant: by its handle, its name, the beginning of its name, its title, or `last`.

        None for a handle of a job that was sent from another machine.

        Raises:
            JobError: no job is meant, or several are.
        """
        entries = self.entries()
        if is_handle(text):
            return next((entry for entry in entries if entry.handle == text), None)
        if text == "last" and entries:
            return entries[0]
        exact = [entry for entry in entries if entry.name == text]
        fitting = exact or [entry for entry in entries if entry.title == text or entry.name.startswith(text)]
        if not fitting:
            raise self._unknown(text)
        if len(fitting) > 1:
            names = ", ".join(entry.name for entry in fitting[:4])
            raise JobError(f"{text!r} could be any of {len(fitting)} jobs: {names}", hint="give the whole name")
        return fitting[0]

    def _unknown(self, name: str) -> JobError:
        close = nearest(name, [entry.name for entry in self.entries()])
        return JobError(
            f"no job {name!r} was sent from this machine",
            hint=f"did you mean {close[0]}?" if close else "etude jobs list",
        )

    def _write(self, entry: Entry) -> None:
        try:
            write_json(self._folder / f"{entry.name}.json", asdict(entry))
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be written: {error.strerror or error}; nothing was sent",
                hint="ETUDE_STATE names another folder",
            ) from error
