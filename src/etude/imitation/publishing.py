"""The finished policy on the Hugging Face hub, where `--policy.push_to_hub=true` asks for it."""

from __future__ import annotations

from typing import Any

from etude.errors import EtudeError
from etude.imitation.quiet import quiet
from etude.imitation.session import Session
from etude.runs.folder import RunFolder

__all__ = ["push_to_hub"]


def push_to_hub(session: Session, run: RunFolder) -> str | None:
    """Upload the policy and its processors to `policy.repo_id`, as LeRobot's trainer does.

    Returns:
        The name on the hub; None where no upload was asked for.

    Raises:
        EtudeError: the hub refused or cannot be reached. The run and its checkpoints are complete.
    """
    config: Any = session.config
    if not config.policy.push_to_hub:
        return None
    policy: Any = session.learner.policy
    try:
        with quiet(), session.learner.average.applied():
            policy.push_model_to_hub(config, dataset_meta=session.demonstrations.meta)
            for processor in session.processors:
                processor.push_to_hub(config.policy.repo_id)
    except (OSError, ValueError, RuntimeError) as error:
        folder = run.root / "checkpoints" / "last" / "pretrained_model"
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise EtudeError(
            f"the run is complete, but its policy could not be uploaded to {config.policy.repo_id}: {reason}",
            hint=f"log in with `hf auth login`, then: hf upload {config.policy.repo_id} {folder}",
        ) from error
    return str(config.policy.repo_id)
