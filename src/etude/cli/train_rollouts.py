"""Rollouts during training: joins the trainer and the evaluation, which do not know each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.imitation.trainer import Rollout
    from etude.runs.folder import RunFolder

__all__ = ["make_rollout"]


def make_rollout(config: Any, run: RunFolder) -> Rollout:
    """What rolls the policy out in `config.env` every `env_eval_freq` steps.

    Each result goes to `evaluations/step-NUMBER/result.json` of the run.

    Raises:
        SimulationError: the environment is unknown.
    """
    from etude.evaluation.rollouts import evaluate_policy
    from etude.policies.loading import LoadedPolicy
    from etude.simulation import EnvironmentSpec, resolve

    spec = EnvironmentSpec(type=config.env.type, task=config.env.task)
    resolve(spec)

    def rollout(policy: Any, preprocessor: Any, postprocessor: Any, step: int) -> dict[str, float]:
        loaded = LoadedPolicy(
            policy, preprocessor, postprocessor, policy.config, path=str(run.root.resolve()), step=step
        )
        result = evaluate_policy(
            loaded,
            spec,
            episodes=config.eval.n_episodes,
            processes=0,
            seed=config.seed if config.seed is not None else 0,
            rename_map=config.rename_map,
        )
        result.save(run.evaluations / f"step-{step:06d}")
        rate = result.success_rate
        return {
            "eval/success_rate": rate.value,
            "eval/success_rate_low": rate.low,
            "eval/success_rate_high": rate.high,
            "eval/mean_reward": result.mean_reward.value,
        }

    return rollout
