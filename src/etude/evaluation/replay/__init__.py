"""Offline evaluation: a policy is shown recorded episodes; its actions are compared with theirs."""

from etude.evaluation.replay.replay import ReplaySettings, replay

__all__ = ["ReplaySettings", "replay"]
