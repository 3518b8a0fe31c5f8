"""`etude secrets`: put secrets into a vault, see which there are, and whether a job would find them."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from etude.cli.arguments import Parser
from etude.cli.command_group import Command, CommandGroup
from etude.cli.pasteable import pasteable
from etude.cli.secret_value import read_value, refuse_a_value
from etude.errors import SecretError, UsageError

if TYPE_CHECKING:
    from etude.secrets import SecretReference

__all__ = ["main"]

VAULT_VARIABLES = ("ETUDE_KEYVAULT", "AZUREML_KEYVAULT_NAME")


def main(argv: Sequence[str]) -> int:
    """Run one sub-command; returns the exit code."""
    return GROUP(argv)


def set_secret(argv: Sequence[str]) -> int:
    """`etude secrets set`"""
    parser = _parser(
        "set",
        "Store a secret in a vault. Its value is typed, or comes through standard input; never as an argument.",
        ["etude secrets set hf_token --vault VAULT", "etude secrets set hf_token --vault VAULT < FILE"],
    )
    parser.add_argument("name", metavar="NAME", help="hf_token for example, which Key Vault keeps as hf-token")
    refuse_a_value(argv, parser.prog, ("--vault", "--keyvault", "--platform"), ("--json", "-h", "--help"))
    options = parser.parse_args(argv)
    from etude.secrets import remember
    from etude.secrets.keyvault import open_vault
    from etude.secrets.spelling import clean_value

    reference = _reference(options.name, options)
    vault = open_vault(reference.vault)
    value = clean_value(read_value(options.name), f"the value of {options.name}")
    remember(value)
    vault.put(reference.name, value)
    if options.json:
        print(json.dumps({"name": reference.name, "vault": reference.vault, "reference": str(reference)}, indent=2))
        return 0
    print(f"stored:  {reference.name} in {reference.vault}{_respelled(options.name, reference)}")
    print(f"jobs:    name it as {reference}")
    return 0


def list_secrets(argv: Sequence[str]) -> int:
    """`etude secrets list`"""
    parser = _parser(
        "list", "The names of the secrets in a vault; never their values.", ["etude secrets list --vault VAULT"]
    )
    options = parser.parse_args(argv)
    from etude.secrets.keyvault import open_vault
    from etude.secrets.spelling import vault_host

    host = vault_host(_vault_of(options))
    found = open_vault(host).listing()
    if options.json:
        print(json.dumps({"vault": host, "secrets": [asdict(item) for item in found]}, indent=2))
        return 0
    for item in found:
        print(item.name if item.enabled else f"{item.name}  (disabled)")
    if not found:
        print(f"no secrets in {host}")
    return 0


def check(argv: Sequence[str]) -> int:
    """`etude secrets check`"""
    parser = _parser(
        "check",
        "Say whether secrets can be read from here. Exit code: 0 all found, 13 not so.",
        ["etude secrets check hf_token --vault VAULT", "etude secrets check hub:// env://WANDB_API_KEY"],
    )
    parser.add_argument("names", nargs="+", metavar="NAME|REFERENCE", help="a secret of the vault, or KIND://...")
    options = parser.parse_args(argv)
    findings = [_look(reference) for reference in _references(options.names, options)]
    if options.json:
        print(json.dumps({"secrets": [asdict(item) for item in findings]}, indent=2))
    else:
        for item in findings:
            print(item)
    return 0 if all(item.state == "found" for item in findings) else SecretError.exit_code


def remove(argv: Sequence[str]) -> int:
    """`etude secrets remove`"""
    parser = _parser(
        "remove",
        "Remove a secret from a vault, which can bring it back for as long as it is set to.",
        ["etude secrets remove hf_token --vault VAULT"],
    )
    parser.add_argument("name", metavar="NAME", help="as it was set")
    options = parser.parse_args(argv)
    from etude.secrets.keyvault import open_vault

    reference = _reference(options.name, options)
    open_vault(reference.vault).remove(reference.name)
    back = f"az keyvault secret recover --vault-name {reference.vault.partition('.')[0]} --name {reference.name}"
    if options.json:
        print(json.dumps({"name": reference.name, "vault": reference.vault, "recover": back}, indent=2))
        return 0
    print(f"removed:    {reference.name} from {reference.vault}{_respelled(options.name, reference)}")
    print(f"undo with:  {back}")
    return 0


GROUP = CommandGroup(
    "etude secrets",
    {
        "set": Command(set_secret, "store a secret in a vault", "etude secrets set hf_token --vault VAULT"),
        "list": Command(list_secrets, "the names in a vault", "etude secrets list --vault VAULT"),
        "check": Command(check, "say whether secrets are found", "etude secrets check hub:// env://WANDB_API_KEY"),
        "remove": Command(remove, "remove a secret from a vault", "etude secrets remove hf_token --vault VAULT"),
    },
    "Configs and jobs hold references to secrets (keyvault://VAULT/NAME, env://NAME, hub://, file:///PATH), no values.",
)


@dataclass(frozen=True)
class _Finding:
    """What was found out about a reference. `state` is found, missing or unknown."""

    reference: str
    state: str
    reason: str = ""
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<8} {self.reference}"
        return "\n".join([line, *(f"         {pasteable(text)}" for text in (self.reason, self.hint) if text)])


def _look(reference: SecretReference) -> _Finding:
    from etude.secrets import MissingSecretError, resolve

    try:
        resolve(reference)
    except SecretError as error:
        state = "missing" if isinstance(error, MissingSecretError) else "unknown"
        return _Finding(str(reference), state, error.message.removeprefix(f"{reference}: "), error.hint or "")
    return _Finding(str(reference), "found")


def _references(names: Iterable[str], options: argparse.Namespace) -> list[SecretReference]:
    return [_reference(name, options) for name in names]


def _reference(name: str, options: argparse.Namespace) -> SecretReference:
    """The secret of that name in the chosen vault; or the reference itself, if it is one."""
    from etude.secrets import SecretReference

    if "://" not in name:
        return SecretReference.in_vault(_vault_of(options), name)
    reference = SecretReference.parse(name)
    if reference.kind != "keyvault" and options.only_vault:
        raise UsageError(f"{reference} is in no vault", hint="name a secret of a vault: keyvault://VAULT/hf_token")
    return reference


def _vault_of(options: argparse.Namespace) -> str:
    if options.platform == "osmo":
        raise UsageError("secrets of OSMO arrive with the osmo platform", hint="until then: osmo credential set")
    vaults = (options.vault, *(os.environ.get(name) for name in VAULT_VARIABLES))
    for vault in vaults:
        if vault and vault.strip():
            return str(vault)
    raise UsageError(
        f"no vault is named: give --vault, or set {' or '.join(VAULT_VARIABLES)}",
        hint="az ml workspace show --name WORKSPACE --resource-group GROUP --query key_vault names the workspace's",
    )


def _respelled(name: str, reference: SecretReference) -> str:
    if "://" in name or name == reference.name:
        return ""
    return f"     (Key Vault takes letters, digits and '-': {name} is kept as {reference.name})"


def _parser(name: str, description: str, examples: list[str]) -> Parser:
    parser = Parser(prog=f"etude secrets {name}", description=description, examples=examples)
    parser.set_defaults(only_vault=name != "check")
    variables = " or ".join(f"${variable}" for variable in VAULT_VARIABLES)
    parser.add_argument(
        "--vault", "--keyvault", metavar="VAULT", help=f"a Key Vault: its name, host or address (default: {variables})"
    )
    parser.add_argument("--platform", choices=("azureml", "osmo"), default="azureml", help="who keeps the secrets")
    parser.add_argument("--json", action="store_true", help="the answer as one JSON object")
    return parser
