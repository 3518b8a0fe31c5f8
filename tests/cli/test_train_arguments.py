"""The help of `etude train`."""

from __future__ import annotations

import shlex

import pytest

from etude import config
from etude.cli.train_arguments import EXAMPLES, GROUPS, help_text
from etude.errors import UsageError


def test_the_overview_has_every_flag_and_fits_a_terminal() -> None:
    text = help_text(config.resolve(["--help"]).request.policy_type)
    assert max(map(len, text.splitlines())) <= 120
    for _, rows in GROUPS:
        for flag, _, _ in rows:
            assert flag in text


@pytest.mark.parametrize("example", [line for line in EXAMPLES if "--resume" not in line and "--config" not in line])
def test_an_example_resolves(example: str) -> None:
    config.resolve(shlex.split(example)[2:])


def test_a_policys_own_flags() -> None:
    pytest.importorskip("lerobot")
    text = help_text(config.resolve(["--policy.type=act", "--help"]).request.policy_type)
    assert "--policy.chunk_size" in text
    assert "100" in text
    with pytest.raises(UsageError, match=r"unknown policy"):
        help_text(config.resolve(["--policy.type=atc", "--help"]).request.policy_type)


def test_the_flags_in_the_overview_exist() -> None:
    pytest.importorskip("lerobot")
    from etude.imitation.settings import decode

    values = {
        "N": "3",
        "F": "0.5",
        "BOOL": "true",
        "DIR": "data",
        "USER/NAME": "a/b",
        "NAME": None,
        "RUN": None,
    }
    arguments = ["-d", "a/b"]
    for _, rows in GROUPS:
        for flag, _, _ in rows:
            name, _, value = flag.split(", ")[-1].partition("=")
            chosen = values.get(value, value.split("|")[0])
            if chosen is None or name in (
                "--policy.SETTING",
                "--policy-repo-id",
                "--config",
                "--resume",
                "--num_epochs",
            ):
                continue
            arguments.append(f"{name}={chosen}" if chosen else name)
    arguments = [item.replace("LEVEL", "INFO") for item in arguments if not item.startswith("--policy.device")]
    decode(config.resolve(arguments))
