"""Training settings: LeRobot's configuration and ours, from what `config.resolve` gives, and back.

settings = decode(config.resolve(argv))
settings.lerobot           # lerobot.configs.train.TrainPipelineConfig
settings.options           # etude.config.options.TrainOptions
encode(settings)           # nested mapping: `--print-config`, `run.json`
"""

from __future__ import annotations

from etude.imitation.settings.decoding import decode
from etude.imitation.settings.encoding import encode
from etude.imitation.settings.model import TrainSettings

__all__ = ["TrainSettings", "decode", "encode"]
