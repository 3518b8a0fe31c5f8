"""Secrets that a command will ask for where it runs: missing ones are found before it is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from etude.config import Resolved
from etude.platforms.problems import Problem

__all__ = ["missing_secrets", "needs_of_training"]

PROTECTED = {
    "pi0": "google/paligemma-3b-pt-224",
    "pi05": "google/paligemma-3b-pt-224",
    "pi0_fast": "google/paligemma-3b-pt-224",
}
"""Policies that begin with base weights whose licence has to be accepted, and those weights."""
NAMES = {"HF_TOKEN": "hf_token", "WANDB_API_KEY": "wandb_api_key"}
"""What the documents call them."""


def needs_of_training(resolved: Resolved) -> dict[str, str]:
    """Environment variable to why it is needed."""
    policy: Mapping[str, Any] = resolved.values.get("policy") or {}
    needs = {}
    weights = PROTECTED.get(str(policy.get("type")))
    has_own = any(policy.get(name) for name in ("text_tokenizer_name", "path"))
    if weights and not has_own:
        needs["HF_TOKEN"] = f"{policy['type']} begins with {weights}, which only a login with its licence may download"
    wandb = resolved.values.get("wandb") or {}
    if wandb.get("enable") is True and wandb.get("mode") not in ("offline", "disabled"):
        needs["WANDB_API_KEY"] = "--wandb.enable=true sends to Weights & Biases"
    return needs


def missing_secrets(needs: Mapping[str, str], given: Mapping[str, str], *, platform: str) -> list[Problem]:
    """A problem for each that is neither given as `--secret` nor, for a job of this machine, in the environment."""
    found = []
    for variable, why in needs.items():
        if variable in given or (platform == "local" and os.environ.get(variable)):
            continue
        name = NAMES[variable]
        if platform == "local":
            fix = f"export {variable}=..., or --secret {variable}=REFERENCE"
        else:
            vault = f"--secret {variable}=keyvault://VAULT/{name.replace('_', '-')}"
            fix = f"etude secrets set {name} --vault VAULT, then {vault}"
        found.append(Problem(f"no {variable} is given: {why}", fix))
    return found
