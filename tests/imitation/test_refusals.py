"""What LeRobot's errors become: said once, with what to do."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import pytest

from etude.errors import CheckpointError, DeviceError, MissingExtraError, TrainingError, UsageError
from etude.imitation.quiet import quiet
from etude.imitation.refusals import explain, explain_step
from etude.policies.hub import explain_hub


@pytest.fixture
def pi0_fast() -> Any:
    from lerobot.policies.pi0_fast.configuration_pi0_fast import PI0FastConfig

    return PI0FastConfig(device="cpu")


def test_a_step_that_runs_out_of_memory_says_what_to_change() -> None:
    import torch

    for error in (torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("can't allocate memory")):
        found = explain_step(error, "act", 3, batch_size=64)
        assert isinstance(found, DeviceError)
        assert "batch_size=64" in found.message
        assert "--gradient_accumulation_steps" in str(found.hint)


def test_a_step_that_fails_names_the_policy_the_step_and_the_error() -> None:
    found = explain_step(IndexError("index 19 is out of bounds\nfor dimension 0"), "vqbet", 1, batch_size=8)
    assert isinstance(found, TrainingError)
    assert found.message == "policy vqbet failed at step 1: IndexError: index 19 is out of bounds"


def test_a_missing_library_names_the_extra_that_brings_it(pi0_fast: Any) -> None:
    error = ImportError("'peft' is required but not installed. Install it with: pip install 'lerobot[wallx]'")
    found = explain(error, pi0_fast, None)
    assert isinstance(found, MissingExtraError)
    assert found.hint == "pip install 'lerobot[wallx]'"
    assert explain(ImportError("no module"), pi0_fast, None).hint == "pip install 'lerobot[pi0_fast]'"


def test_a_backbone_that_cannot_be_downloaded(pi0_fast: Any) -> None:
    found = explain(URLError("timed out"), pi0_fast, None)
    assert isinstance(found, CheckpointError)
    assert "--policy.pretrained_backbone_weights=null" in str(found.hint)


def test_anything_else_is_the_data_or_the_weights(pi0_fast: Any) -> None:
    assert isinstance(explain(ValueError("two cameras"), pi0_fast, None), UsageError)
    assert isinstance(explain(ValueError("two cameras"), pi0_fast, "run"), CheckpointError)


@pytest.mark.parametrize(
    ("kind", "reason", "hint"),
    [
        ("GatedRepoError", "its licence is not accepted yet, or HF_TOKEN is missing", "accept the licence at"),
        ("RepositoryNotFoundError", "there is none of this name, or it is private", "export HF_TOKEN"),
        ("HfHubHTTPError", "it cannot be reached", "try again with a network"),
    ],
)
def test_the_hub_says_why(kind: str, reason: str, hint: str, pi0_fast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import errors

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    answer: Any = SimpleNamespace(headers={}, request=None, status_code=403)
    try:
        try:
            raise getattr(errors, kind)("google/paligemma-3b-pt-224 refuses", response=answer)
        except errors.HfHubHTTPError as error:
            raise RuntimeError("a library's own words") from error
    except RuntimeError as error:
        found = explain_hub(error, "pi0_fast", pi0_fast)
    assert found is not None
    assert found.message == f"policy pi0_fast needs google/paligemma-3b-pt-224 from the Hugging Face hub: {reason}"
    assert hint in str(found.hint)
    assert str(found.hint).endswith("local copies work too: --policy.text_tokenizer_name=DIR")


def test_errors_of_other_kinds_are_not_the_hubs(pi0_fast: Any) -> None:
    assert explain_hub(ValueError("two cameras"), "pi0_fast", pi0_fast) is None


def test_what_is_logged_is_shown_after_success_and_dropped_after_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of this test's standard error, and alone: a library may have added a handler of its own.
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler()])
    with quiet():
        print("loading")
        logging.warning("three keys are missing")
    assert capsys.readouterr() == ("", "three keys are missing\n")
    with pytest.raises(ZeroDivisionError), quiet():
        _log_and_fail()
    assert capsys.readouterr() == ("", "")
    logging.warning("after")
    assert capsys.readouterr().err == "after\n"


def _log_and_fail() -> None:
    logging.error("aborting")
    raise ZeroDivisionError
