"""A policy type or a checkpoint to a LeRobot policy with its processors."""

from etude.policies.catalog import check_policy_name, known_policies
from etude.policies.device import choose_device
from etude.policies.loading import LoadedPolicy, load_policy
from etude.policies.location import find_policy

__all__ = ["LoadedPolicy", "check_policy_name", "choose_device", "find_policy", "known_policies", "load_policy"]
