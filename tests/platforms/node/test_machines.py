"""Several machines and processes: who keeps the outputs, and how torchrun is called."""

from __future__ import annotations

import sys

import pytest

from etude.errors import PlatformError
from etude.platforms.node.machines import Machine


def test_one_machine_and_one_process_need_no_launcher() -> None:
    machine = Machine.of({"PATH": "/bin"})
    assert machine.is_first
    assert machine.launcher("etude.cli", 1) == [sys.executable, "-u", "-m", "etude.cli"]


def test_several_gpus_of_one_machine() -> None:
    command = Machine.of({"WORLD_SIZE": "1"}).launcher("etude.cli", 4)
    assert command[3:] == ["torch.distributed.run", "--standalone", "--nproc-per-node=4", "-m", "etude.cli"]


def test_several_machines() -> None:
    told = {"WORLD_SIZE": "3", "RANK": "2", "NODE_RANK": "2", "MASTER_ADDR": "10.0.0.4", "MASTER_PORT": "6105"}
    machine = Machine.of(told)
    assert not machine.is_first
    assert machine.launcher("etude.cli", 8)[4:] == [
        "--nnodes=3", "--node-rank=2", "--master-addr=10.0.0.4", "--master-port=6105", "--nproc-per-node=8",
        "-m", "etude.cli",
    ]  # fmt: skip
    kept = machine.environment({**told, "PATH": "/bin"})
    assert kept == {"PATH": "/bin", "MASTER_ADDR": "10.0.0.4", "MASTER_PORT": "6105"}


def test_a_platform_that_does_not_say_where_the_first_one_is() -> None:
    with pytest.raises(PlatformError, match="2 machines"):
        Machine.of({"WORLD_SIZE": "2", "RANK": "1"})
