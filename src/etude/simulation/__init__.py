"""Environments by name: gym-pusht, gym-aloha, Meta-World; their episodes and their scripted experts."""

from etude.simulation.base import Environment, EnvironmentInfo, EnvironmentSpec, Observation, Step
from etude.simulation.catalog import known_environments, known_tasks, resolve
from etude.simulation.seeds import demonstration_seed, evaluation_seeds
from etude.simulation.slots import Stretch
from etude.simulation.vectorised import Environments, make_environments

__all__ = [
    "Environment",
    "EnvironmentInfo",
    "EnvironmentSpec",
    "Environments",
    "Observation",
    "Step",
    "Stretch",
    "demonstration_seed",
    "evaluation_seeds",
    "known_environments",
    "known_tasks",
    "make_environments",
    "resolve",
]
