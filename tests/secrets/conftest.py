"""Every test here is a process that knows nothing of this machine's secrets."""

from tests.secrets.fixtures import cloud, enter, fresh_process, started_cloud

__all__ = ["cloud", "enter", "fresh_process", "started_cloud"]
