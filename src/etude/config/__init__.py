"""The command line and config files, turned into one nested mapping. No torch, no LeRobot.

resolved = config.resolve(["--dataset.repo_id=lerobot/pusht", "-p", "diffusion"])
resolved.values["policy"]["type"]      # "diffusion"
resolved.sources["save_freq"]          # "default"
"""

from __future__ import annotations

from etude.config.files import dump_yaml
from etude.config.request import Request, Resolved
from etude.config.resolution import resolve

__all__ = ["Request", "Resolved", "dump_yaml", "resolve"]
