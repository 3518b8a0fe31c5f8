"""What was sent from here: written down before, found by any of its names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.errors import JobError, StorageError, UsageError
from etude.platforms.handles import Handle, is_handle
from etude.platforms.ledger import Entry, Ledger, unique_name


def entry(name: str, title: str = "act", created: float = 1.0) -> Entry:
    return Entry(name=name, platform="local", title=title, command=["etude", "submit"], created=created)


@given(st.text(max_size=80))
def test_a_name_is_legal_everywhere(title: str) -> None:
    name = unique_name(title)
    assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name)
    assert len(name) <= 58
    assert name != unique_name(title)


@given(st.text(min_size=1), st.text())
def test_a_handle_is_read_back(name: str, place: str) -> None:
    handle = Handle("azureml", name, place)
    assert is_handle(str(handle))
    assert Handle.parse(str(handle)) == handle


@pytest.mark.parametrize("text", ["", "name", "azureml:pusht:1", "://x", "azureml://", "azureml://a/b/c"])
def test_what_is_no_handle(text: str) -> None:
    with pytest.raises(UsageError, match="not a job"):
        Handle.parse(text)


def test_a_job_is_found_by_all_its_names(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in range(3):
        ledger.prepare(entry(f"act-{number}abc", created=number))
    ledger.prepare(entry("other-1", title="special", created=-1))
    sent = ledger.sent(ledger.entry("act-1abc"), Handle("local", "act-1abc"))
    assert ledger.find("act-1") == ledger.find("act-1abc") == ledger.find("local://act-1abc") == sent
    assert ledger.find("special") == ledger.entry("other-1")
    assert ledger.find("last") == ledger.entry("act-2abc")
    assert ledger.find("azureml://ws/elsewhere") is None
    assert [item.name for item in ledger.entries()] == ["act-2abc", "act-1abc", "act-0abc", "other-1"]
    with pytest.raises(JobError, match="any of 3 jobs"):
        ledger.find("act")
    with pytest.raises(JobError) as caught:
        ledger.find("act-2acb")
    assert "act-2abc" in str(caught.value.hint)


def test_a_damaged_file_hides_one_job_only(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.prepare(entry("good-1"))
    (tmp_path / "bad-1.json").write_text("{")
    assert [item.name for item in ledger.entries()] == ["good-1"]
    with pytest.raises(JobError, match="damaged"):
        ledger.entry("bad-1")


def test_no_ledger_no_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="nothing was sent"):
        Ledger(tmp_path / "file" / "jobs").prepare(entry("x-1"))


def test_what_is_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.prepare(entry("x-1"))
    assert json.loads((tmp_path / "x-1.json").read_text())["handle"] == ""
    assert not ledger.entry("x-1").is_sent
    ledger.forget("x-1")
    ledger.forget("x-1")
    assert ledger.entries() == []
