"""Ways to make a step faster, each measured on the machine and the run at hand before it is used."""

from etude.imitation.acceleration.applying import apply
from etude.imitation.acceleration.settings import Acceleration
from etude.imitation.acceleration.tuning import insist, tune

__all__ = ["Acceleration", "apply", "insist", "tune"]
