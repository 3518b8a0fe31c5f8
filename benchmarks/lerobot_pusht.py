"""Mends LeRobot 0.6.1's asynchronous PushT, so that there is something to compare with.

Its environment processes do not import gym_pusht, and end when they are asked for the task, which gym_pusht does
not tell. Each also imports LeRobot and PyTorch anew, many seconds of processor time. This module is loaded once into
the process that they are copied from (`multiprocessing.set_forkserver_preload`).
"""

import lerobot.envs.configs  # noqa: F401
from gym_pusht.envs.pusht import PushTEnv

PushTEnv.task = PushTEnv.task_description = ""
