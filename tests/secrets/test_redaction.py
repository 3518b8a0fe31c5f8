"""Values that were read once are masked in every spelling in which they could be written."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etude.secrets import is_plain_secret, redact, redact_tree, remember, resolve

# Six characters at least: shorter values are not masked. None that is a piece of the mask or of the texts around it.
VALUES = st.text(min_size=6, max_size=60).filter(lambda text: len(text.strip()) >= 6 and "*" not in text)
ROOMY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ROOMY
@given(VALUES)
@example("qu\"ote's and 100% of %41 \\ back")
@example("Schlüssel-鍵-🗝 of all")
@example("first line of it\nsecond line of it")
def test_a_remembered_value_is_masked_in_every_spelling(value: str) -> None:
    remember(value)
    spellings = [value, repr(value)[1:-1], json.dumps(value), json.dumps(value, ensure_ascii=False)]
    if value.isprintable():
        spellings += [quote(value, safe=""), quote(value), quote_plus(value)]
    for spelling in spellings:
        bare = spelling[1:-1] if spelling.startswith('"') and spelling.endswith('"') else spelling
        assert bare not in redact(f"<<{spelling}>>")


def test_each_line_of_a_value_is_masked() -> None:
    remember("-----BEGIN KEY-----\nabcdefghij\n-----END KEY-----")
    assert redact("log: abcdefghij") == "log: ***"


def test_short_values_do_not_blank_out_words() -> None:
    remember("a")
    remember("")
    assert redact("a banana") == "a banana"


def test_a_resolved_value_is_masked_and_a_reference_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NAME", "some value of it")
    assert redact("some value of it") == "some value of it"
    resolve("env://SOME_NAME")
    assert redact_tree({"a": ["some value of it"], "token": "env://SOME_NAME"}) == {
        "a": ["***"],
        "token": "env://SOME_NAME",
    }
    monkeypatch.setenv("HF_TOKEN", "keyvault://a-vault/hf-token")
    assert redact("from keyvault://a-vault/hf-token") == "from keyvault://a-vault/hf-token"


def test_further_variables_can_be_declared_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LICENCE", "abcdefgh")
    assert redact("abcdefgh") == "abcdefgh"
    monkeypatch.setenv("ETUDE_SECRET_VARIABLES", "OTHER,LICENCE")
    assert redact("abcdefgh") == "***"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("HF_TOKEN", "anything", True),
        ("wandb.api_key", "anything", True),
        ("HF_TOKEN", "env://HF_TOKEN", False),
        ("HF_TOKEN", " ", False),
        ("NOTE", "hf_" + "aB3" * 12, True),
        ("ADDRESS", "https://me:pw@host/", True),
        ("tokenizer_max_length", "48", False),
        ("EPOCHS", "48", False),
    ],
)
def test_a_plain_secret_is_told_from_a_setting(name: str, value: str, expected: bool) -> None:
    assert is_plain_secret(name, value) is expected


def test_resolving_writes_no_value_to_a_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SOME_NAME", "some value of it")
    with caplog.at_level(logging.DEBUG):
        resolve("env://SOME_NAME")
    assert "some value" not in caplog.text


def test_references_load_no_client() -> None:
    code = "import etude.secrets, sys; print({name.split('.')[0] for name in sys.modules} & {'azure', 'requests'})"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"
