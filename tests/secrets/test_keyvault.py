"""Key Vault, with the real client, over TLS, under its real name."""

from __future__ import annotations

import socket
import stat
import traceback
from pathlib import Path

import pytest

from etude.errors import SecretError
from etude.secrets import MissingSecretError, exists, redact, resolve, resolve_all
from etude.secrets.keyvault import open_vault
from tests.emulators.azureml.wire import ServiceError
from tests.secrets.cloud import Cloud
from tests.secrets.fixtures import Enter

HOST = "a-vault.vault.azure.net"


def refusal(reference: str) -> SecretError:
    with pytest.raises(SecretError) as caught:
        resolve(reference)
    return caught.value


def test_what_was_put_is_read_and_masked(cloud: Cloud) -> None:
    open_vault(HOST).put("hf-token", "hf_a value, 100%")
    assert resolve("keyvault://a-vault/hf_token") == "hf_a value, 100%"
    assert redact("it is hf_a value, 100% here") == "it is *** here"
    assert exists("keyvault://a-vault.vault.azure.net/hf-token") is True
    assert "hf-token" in [item.name for item in open_vault(HOST).listing()]


def test_a_removed_secret_is_missing(cloud: Cloud) -> None:
    open_vault(HOST).put("gone-soon", "abcdef")
    open_vault(HOST).remove("gone-soon")
    assert exists("keyvault://a-vault/gone-soon") is False


def test_a_removed_secret_can_be_set_again_while_the_vault_keeps_the_old_one(cloud: Cloud) -> None:
    open_vault(HOST).put("back-again", "the first one")
    open_vault(HOST).remove("back-again")
    open_vault(HOST).put("back-again", "the second one")
    assert resolve("keyvault://a-vault/back-again") == "the second one"


def test_a_missing_secret_is_told_with_the_nearest_name(cloud: Cloud) -> None:
    cloud.vault.set("wandb-api-key", "abcdef")
    error = refusal("keyvault://a-vault/wandb_apikey")
    assert isinstance(error, MissingSecretError)
    assert "keyvault://a-vault/wandb-apikey" in error.message
    assert error.hint is not None
    assert "wandb-api-key" in error.hint
    assert "etude secrets set wandb-apikey --vault a-vault" in error.hint


def test_nobody_logged_in(started_cloud: Cloud, enter: Enter) -> None:
    enter(started_cloud.network)
    error = refusal("keyvault://a-vault/hf-token")
    assert "no login" in error.message
    assert error.hint is not None
    assert error.hint.startswith("az login")
    assert exists("keyvault://a-vault/hf-token") is None


def test_a_wrong_client_secret_is_no_login(started_cloud: Cloud, enter: Enter) -> None:
    enter({**started_cloud.login("secrets"), "AZURE_CLIENT_SECRET": "not the right one"})
    error = refusal("keyvault://a-vault/hf-token")
    assert "AADSTS7000215" in error.message
    assert "not the right one" not in error.message


@pytest.mark.parametrize(("action", "role"), [("get", "Key Vault Secrets User"), ("put", "Key Vault Secrets Officer")])
def test_without_permission_the_role_to_ask_for_is_named(
    started_cloud: Cloud, enter: Enter, action: str, role: str
) -> None:
    enter(started_cloud.login("workspace"))
    vault = open_vault(HOST)
    with pytest.raises(SecretError, match=role) as caught:
        vault.get("hf-token") if action == "get" else vault.put("hf-token", "a value of it")
    assert caught.value.hint is not None
    assert f"az role assignment create --role '{role}'" in caught.value.hint


def test_a_token_that_the_vault_does_not_accept(cloud: Cloud) -> None:
    cloud.faults.status(401, path="/secrets/", times=3)
    error = refusal("keyvault://a-vault/hf-token")
    assert "does not accept this login" in error.message
    assert error.hint is not None
    assert error.hint.startswith("az login --tenant")


def test_in_a_job_the_managed_identity_reads(started_cloud: Cloud, enter: Enter) -> None:
    started_cloud.vault.set("hf-token", "of the job")
    # A service principal that may do nothing is in the environment too: the job's identity goes first.
    enter({**started_cloud.login(), **started_cloud.node("secrets")})
    assert resolve("keyvault://a-vault/hf-token") == "of the job"


def test_a_job_whose_identity_may_not_read(started_cloud: Cloud, enter: Enter) -> None:
    enter(started_cloud.node("workspace"))
    assert "the job's managed identity may not read" in refusal("keyvault://a-vault/hf-token").message


def test_a_job_whose_identity_is_not_known(started_cloud: Cloud, enter: Enter) -> None:
    enter({**started_cloud.node(), "DEFAULT_IDENTITY_CLIENT_ID": "00000000-0000-0000-0000-000000000000"})
    error = refusal("keyvault://a-vault/hf-token")
    assert "managed identity gives no token" in error.message
    assert error.hint is not None
    assert "az ml compute update" in error.hint


def test_the_login_of_the_azure_cli_is_used(
    started_cloud: Cloud, enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_cloud.vault.set("hf-token", "through az login")
    token = started_cloud.identities.token(started_cloud.identities.add(("secrets",)), "https://vault.azure.net")
    az = tmp_path / "az"
    answer = f'{{"accessToken": "{token}", "expiresOn": "2099-01-01 00:00:00.000000", "expires_on": 4070908800}}'
    az.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    az.chmod(az.stat().st_mode | stat.S_IXUSR)
    enter({**started_cloud.network, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert resolve("keyvault://a-vault/hf-token") == "through az login"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_vault_is_asked_again(cloud: Cloud, status: int) -> None:
    cloud.vault.set("hf-token", "after a while")
    fault = cloud.faults.status(status, path="/secrets/hf-token", times=2, retry_after_s=0.01)
    assert resolve("keyvault://a-vault/hf-token") == "after a while"
    assert fault.met == 2


def test_a_vault_that_stays_busy_is_told(cloud: Cloud) -> None:
    cloud.faults.status(429, path="/secrets/hf-token", times=50, retry_after_s=0.01)
    assert "asked too often (429)" in refusal("keyvault://a-vault/hf-token").message


def test_a_lost_answer_to_a_write_is_no_failure(cloud: Cloud) -> None:
    cloud.faults.lose_answer(method="PUT", path="/secrets/lost")
    open_vault(HOST).put("lost", "kept in the end")
    assert resolve("keyvault://a-vault/lost") == "kept in the end"


def test_a_host_behind_the_proxy_that_is_no_vault(cloud: Cloud) -> None:
    error = refusal("keyvault://other-vault/hf-token")
    assert "other-vault.vault.azure.net cannot be reached: the proxy does not let it through" in error.message


def test_an_unknown_host(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:  # no question leaves this machine
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    enter({"HTTPS_PROXY": "", "https_proxy": "", "NO_PROXY": "*", "no_proxy": "*"})
    error = refusal("keyvault://other-vault.vault.invalid.example/hf-token")
    assert "no vault at other-vault.vault.invalid.example" in error.message


def test_all_problems_are_in_one_error(cloud: Cloud) -> None:
    cloud.vault.set("hf-token", "there it is")
    good = {"HF_TOKEN": "keyvault://a-vault/hf_token"}
    assert resolve_all(good) == {"HF_TOKEN": "there it is"}
    with pytest.raises(SecretError) as caught:
        resolve_all({**good, "A": "env://NOT_SET_HERE", "B": "keyvault://a-vault/nothing-like-it", "C": "osmo://x"})
    for part in ("3 secrets", "A: env://NOT_SET_HERE", "B: keyvault://a-vault/nothing-like-it", "C: osmo://x"):
        assert part in caught.value.message
    assert "there it is" not in f"{caught.value.message} {caught.value.hint}"


def test_an_answer_that_repeats_the_value_is_not_repeated(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    value = "very-secret-value"

    def repeat(name: str, sent: str) -> None:
        raise ServiceError(400, f"Bad {sent}", f"{name} cannot be {sent}")

    monkeypatch.setattr(cloud.vault, "set", repeat)
    with pytest.raises(SecretError) as caught:
        open_vault(HOST).put("hf-token", value)
    assert value not in "".join(traceback.format_exception(caught.value))
    assert value not in f"{caught.value.message} {caught.value.hint}"
