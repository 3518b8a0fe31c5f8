"""The places on this machine: the environment, files, the hub's login."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etude.errors import SecretError
from etude.secrets import MissingSecretError, exists, resolve, resolve_all

ROOMY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def private(file: Path, content: bytes = b"abcdef\n") -> Path:
    file.write_bytes(content)
    file.chmod(0o600)
    return file


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NAME", "abcdef")
    assert resolve("env://SOME_NAME") == "abcdef"
    monkeypatch.setenv("SOME_NAME", "  ")
    assert exists("env://SOME_NAME") is False
    with pytest.raises(MissingSecretError, match="SOME_NAME is not set"):
        resolve("env://SOME_NAME")


def test_a_private_file(tmp_path: Path) -> None:
    file = private(tmp_path / "a 100% file")
    assert resolve(f"file://{file}") == "abcdef"
    assert exists(f"file://{tmp_path}/other") is False


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = private(tmp_path / "token")
    file.chmod(mode)
    with pytest.raises(SecretError, match=f"mode {mode:04o}") as caught:
        resolve(f"file://{file}")
    assert caught.value.hint == f"chmod 600 {file}"
    assert exists(f"file://{file}") is None


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"a\0b", b"\xff\xfe\xfd", b"a" * 26_000])
def test_a_file_without_a_usable_value_is_refused(tmp_path: Path, content: bytes) -> None:
    file = private(tmp_path / "token", content)
    with pytest.raises(SecretError, match="token"):
        resolve(f"file://{file}")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SecretError):
        resolve(f"file://{tmp_path}")
    with pytest.raises(MissingSecretError):
        resolve(f"file://{private(tmp_path / 'token')}/below")


def test_a_mounted_secret_is_a_link(tmp_path: Path) -> None:
    private(tmp_path / "..data")
    (tmp_path / "token").symlink_to("..data")
    assert resolve(f"file://{tmp_path}/token") == "abcdef"


@ROOMY
@given(VALUES)
@example('100% "sure" it\'s ü\n')
@example("two\nlines\r\n")
def test_one_newline_at_the_end_is_cut_and_nothing_else(tmp_path: Path, value: str) -> None:
    file = private(tmp_path / "token", value.encode())
    if not value.strip():
        assert exists(f"file://{file}") is None
        return
    expected = value[:-2] if value.endswith("\r\n") else value.removesuffix("\n")
    assert resolve(f"file://{file}") == expected


def test_the_login_at_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingSecretError) as caught:
        resolve("hub://")
    assert caught.value.hint == "hf auth login"
    home = Path(os.environ["HF_HOME"])
    (home / "token").write_text("of HF_HOME\n", encoding="utf-8")
    assert resolve("hub://") == "of HF_HOME"
    (tmp_path / "elsewhere").write_text("of HF_TOKEN_PATH\n", encoding="utf-8")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "elsewhere"))
    assert resolve("hub://") == "of HF_TOKEN_PATH"
    monkeypatch.setenv("HF_TOKEN", "of HF_TOKEN\n")
    assert resolve("hub://") == "of HF_TOKEN"


def test_the_login_at_the_hub_is_the_one_that_the_hub_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text("of the cache", encoding="utf-8")
    assert resolve("hub://") == "of the cache"


def test_osmo_is_refused_here() -> None:
    assert exists("osmo://hf_token") is None
    with pytest.raises(SecretError, match="OSMO keeps this secret"):
        resolve("osmo://hf_token")


def test_several_problems_make_one_error() -> None:
    with pytest.raises(MissingSecretError) as caught:
        resolve_all({"A": "env://NOT_SET_A", "B": "env://NOT_SET_B"})
    assert "2 secrets cannot be read" in caught.value.message
    with pytest.raises(MissingSecretError, match=r"^A: env://NOT_SET_A"):
        resolve_all({"A": "env://NOT_SET_A"})
    assert resolve_all({}) == {}
