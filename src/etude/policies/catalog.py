"""The policy types that the installed LeRobot registers."""

from __future__ import annotations

from etude.errors import UsageError, nearest
from etude.extras import require

__all__ = ["check_policy_name", "known_policies"]


def known_policies() -> list[str]:
    """Names for `--policy.type`, sorted; installed LeRobot plug-ins included."""
    require("lerobot", extra="imitation")
    import lerobot.policies  # noqa: F401  importing it registers the configurations
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    register_third_party_plugins()
    return sorted(PreTrainedConfig.get_known_choices())


def check_policy_name(name: str) -> str:
    """Return `name` when it is a policy type.

    Raises:
        UsageError: it is none; the nearest names are shown.
    """
    known = known_policies()
    if name in known:
        return name
    close = nearest(name, known)
    hint = f"did you mean {' or '.join(close)}?" if close else f"policies: {', '.join(known)}"
    raise UsageError(f"unknown policy type {name!r}", hint=hint)
