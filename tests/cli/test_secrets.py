"""`etude secrets`, against a vault on this machine: what it says, how it ends, and that it never shows a value."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from etude.cli import main
from etude.secrets import resolve
from tests.secrets.cloud import Cloud
from tests.secrets.fixtures import cloud, enter, fresh_process, started_cloud

__all__ = ["cloud", "enter", "fresh_process", "started_cloud"]

ROOMY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=8, max_size=80)


def send(monkeypatch: pytest.MonkeyPatch, value: bytes, *words: str) -> int:
    """`etude secrets WORDS`, the value in standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(value)))
    return main(["secrets", *words])


def test_set_check_list_remove(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = ["--vault", "a-vault"]
    assert send(monkeypatch, b"hf_abcdef\n", "set", "hf_token", *vault) == 0
    told = capsys.readouterr().out
    assert "hf_token is kept as hf-token" in told
    assert "keyvault://a-vault/hf-token" in told
    assert main(["secrets", "check", "hf_token", "keyvault://a-vault/hf-token", *vault]) == 0
    assert capsys.readouterr().out.count("found") == 2
    assert main(["secrets", "list", *vault]) == 0
    assert "hf-token" in capsys.readouterr().out.splitlines()
    assert main(["secrets", "remove", "hf_token", *vault]) == 0
    assert "az keyvault secret recover --vault-name a-vault --name hf-token" in capsys.readouterr().out
    assert main(["secrets", "check", "hf_token", *vault]) == 13
    assert "missing  keyvault://a-vault/hf-token" in capsys.readouterr().out
    assert main(["secrets", "remove", "hf_token", *vault]) == 13


def test_the_vault_is_named_by_a_flag_or_by_the_environment(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(monkeypatch, b"abcdef", "set", "hf_token") == 2
    assert "--vault" in capsys.readouterr().err
    assert send(monkeypatch, b"abcdef", "set", "hf_token", "--keyvault", "https://a-vault.vault.azure.net/") == 0
    monkeypatch.setenv("AZUREML_KEYVAULT_NAME", "a-vault")
    assert main(["secrets", "check", "hf_token"]) == 0
    monkeypatch.setenv("ETUDE_KEYVAULT", "kv--1")
    assert main(["secrets", "check", "hf_token"]) == 13


def test_the_answers_as_json(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(monkeypatch, b"abcdef", "set", "wandb_api_key", "--vault", "a-vault", "--json") == 0
    assert json.loads(capsys.readouterr().out)["reference"] == "keyvault://a-vault/wandb-api-key"
    assert main(["secrets", "list", "--vault", "a-vault", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert "wandb-api-key" in [item["name"] for item in listed["secrets"]]
    assert main(["secrets", "check", "env://NOT_SET_HERE", "keyvault://a-vault/wandb_api_key", "--json"]) == 13
    states = [item["state"] for item in json.loads(capsys.readouterr().out)["secrets"]]
    assert states == ["missing", "found"]


@pytest.mark.parametrize(
    "words",
    [
        ["set", "hf_token", "VALUE"],
        ["set", "hf_token", "--value", "VALUE"],
        ["set", "hf_token", "--value=VALUE"],
        ["set", "--token=VALUE", "hf_token"],
        ["set", "hf_token", "-hVALUE"],
        ["set", "hf_token", "--", "VALUE"],
        ["set", "hf_token", "--vault", "a-vault", "--json=VALUE"],
    ],
)
@pytest.mark.parametrize("value", ["my-secret-value", "%s {0} 'x' \"y\"", "-starts-with-a-dash", "--vault-like"])
def test_a_value_as_an_argument_is_refused_and_not_repeated(
    words: list[str], value: str, capsys: pytest.CaptureFixture[str], fresh_process: None
) -> None:
    assert main(["secrets", *(word.replace("VALUE", value) for word in words)]) == 2
    told = capsys.readouterr()
    assert "never given as an argument" in told.err
    assert value not in told.out + told.err


def test_a_token_in_the_place_of_the_name_is_not_repeated(
    capsys: pytest.CaptureFixture[str], fresh_process: None
) -> None:
    token = "hf_" + "aB3" * 12
    assert main(["secrets", "set", token, "--vault", "a-vault"]) == 13
    assert token not in capsys.readouterr().err


@pytest.mark.parametrize("value", [b"", b"\n", b" \t \r\n", b"a\0b", b"\xff\xfe secret", b"a" * 26_000])
def test_an_unusable_value_is_refused_before_anything_is_sent(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: bytes
) -> None:
    sent = len(cloud.requests.matching("PUT"))
    assert send(monkeypatch, value, "set", "hf_token", "--vault", "a-vault") == 13
    assert len(cloud.requests.matching("PUT")) == sent
    assert "secret" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["set", "hf_token", "--platform", "osmo"], 2, "arrive with the osmo platform"),
        (["set", "env://HF_TOKEN"], 2, "is in no vault"),
        (["set", "hf token", "--vault", "a-vault"], 13, "letters, digits and '-'"),
        (["check", "vault://a/b"], 13, "no references of the kind"),
        (["check"], 2, "NAME|REFERENCE"),
        (["lst"], 2, "unknown command"),
        (["check", "osmo://x"], 13, ""),
    ],
)
def test_refusals(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str], fresh_process: None
) -> None:
    assert main(["secrets", *words]) == code
    assert told in capsys.readouterr().err


@ROOMY
@given(VALUES)
@example("100% %s %(name)s {0} $HOME `id`")
@example('it\'s "quoted" \\ and ü鍵🗝')
@example("first line of it\nsecond line of it\n")
def test_a_value_goes_to_the_vault_and_nowhere_else(
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    value: str,
) -> None:
    assume(len(value.strip()) >= 8)
    capsys.readouterr()
    caplog.clear()
    commands: Sequence[Sequence[str]] = [["list"], ["check", "a_secret"], ["list", "--json"]]
    with caplog.at_level(logging.DEBUG):
        assert send(monkeypatch, value.encode(), "set", "a_secret", "--vault", "a-vault") == 0
        for words in commands:
            assert main(["secrets", *words, "--vault", "a-vault"]) == 0
        cloud.faults.status(400, method="PUT")
        assert send(monkeypatch, value.encode(), "set", "a_secret", "--vault", "a-vault") == 13
    kept = value[:-2] if value.endswith("\r\n") else value.removesuffix("\n")
    told = capsys.readouterr()
    assert kept not in told.out + told.err + caplog.text
    assert resolve("keyvault://a-vault/a_secret") == kept
    assert not [record for record in cloud.requests if kept in record.target]


def test_a_typed_value_is_not_shown(cloud: Cloud) -> None:
    master, slave = pty.openpty()
    program = [sys.executable, "-m", "etude.cli", "secrets", "set", "typed", "--vault", "a-vault"]
    child = subprocess.Popen(program, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    shown = b""
    try:
        while b"not shown" not in shown:
            shown += os.read(master, 1024)
        os.write(master, "typed válue 100%\n".encode())
        while True:
            shown += os.read(master, 1024)
    except OSError:  # the other side is closed: the command has ended
        pass
    finally:
        os.close(master)
    assert child.wait() == 0, shown.decode()
    assert "stored" in shown.decode()
    assert "typed v" not in shown.decode()
    assert resolve("keyvault://a-vault/typed") == "typed válue 100%"
