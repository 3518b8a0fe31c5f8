"""References: what is one, what is not, and that a value given by mistake is never repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.errors import SecretError
from etude.secrets import SecretReference
from etude.secrets.spelling import legal_name, vault_host

TOKEN = "hf_" + "aB3" * 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env://HF_TOKEN", SecretReference("env", "HF_TOKEN")),
        (" hub:// ", SecretReference("hub")),
        ("file:///run/secrets/a%20b", SecretReference("file", "/run/secrets/a%20b")),
        ("osmo://hf_token", SecretReference("osmo", "hf_token")),
        ("keyvault://My-Vault/hf_token", SecretReference("keyvault", "hf-token", "my-vault.vault.azure.net")),
        ("KeyVault://kv1/hf.token", SecretReference("keyvault", "hf-token", "kv1.vault.azure.net")),
        ("keyvault://kv1.vault.azure.net/x", SecretReference("keyvault", "x", "kv1.vault.azure.net")),
        ("keyvault://https://kv1.vault.azure.cn/x", SecretReference("keyvault", "x", "kv1.vault.azure.cn")),
        ("keyvault://kv1.vault.usgovcloudapi.net/x", SecretReference("keyvault", "x", "kv1.vault.usgovcloudapi.net")),
    ],
)
def test_what_is_a_reference(text: str, expected: SecretReference) -> None:
    assert SecretReference.parse(text) == expected
    assert SecretReference.parse(str(expected)) == expected


def test_a_reference_is_written_as_short_as_it_can_be() -> None:
    assert str(SecretReference.in_vault("https://kv1.vault.azure.net/", "hf_token")) == "keyvault://kv1/hf-token"
    assert str(SecretReference.in_vault("kv1.vault.azure.cn", "x")) == "keyvault://kv1.vault.azure.cn/x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "env://",
        "env://A-B",
        "env://A B",
        "keyvault://",
        "keyvault://kv1",
        "keyvault://kv1/",
        "keyvault://kv1/a/b",
        "keyvault://kv1/a b",
        "keyvault://1kv/a",
        "keyvault://a--b/a",
        "keyvault://kv1.example.com/a",
        "keyvault://vault.azure.net/a",
        "keyvault://kv1/" + "a" * 128,
        "hub://x",
        "file://relative/path",
        "file:///",
        "osmo://",
        "vault://kv1/x",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        SecretReference.parse(text)
    assert caught.value.exit_code == 13
    assert caught.value.hint


def test_the_nearest_kind_is_named() -> None:
    with pytest.raises(SecretError) as caught:
        SecretReference.parse("keyvalt://kv1/x")
    assert caught.value.hint == "did you mean keyvault://VAULT/NAME?"


@given(st.text(min_size=4).filter(lambda text: "://" not in text and text.strip() not in "references ://"))
def test_a_value_in_the_place_of_a_reference_is_not_repeated(value: str) -> None:
    value = f"<{value}>"
    with pytest.raises(SecretError) as caught:
        SecretReference.parse(value)
    assert value not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("token", [TOKEN, "ghp_" + "a1" * 18, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln"])
def test_a_token_in_the_place_of_a_name_is_not_repeated(token: str) -> None:
    with pytest.raises(SecretError) as caught:
        SecretReference.parse(f"keyvault://kv1/{token}")
    assert token not in f"{caught.value.message} {caught.value.hint}"


@given(st.from_regex(r"[0-9A-Za-z_.-]{1,127}", fullmatch=True).filter(lambda text: len(text) < 20))
def test_a_legal_spelling_is_legal_and_stays(name: str) -> None:
    legal = legal_name(name)
    assert legal_name(legal) == legal
    assert set(legal) <= set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-")


@pytest.mark.parametrize("vault", ["", "ab", "a" * 25, "kv_1", "kv1-", "https://", "kv1.vault.azure.net/x", "kv 1"])
def test_what_is_no_vault(vault: str) -> None:
    with pytest.raises(SecretError):
        vault_host(vault)
