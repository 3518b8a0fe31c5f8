"""Azurite, the official emulator of Blob Storage, from npm.

It is installed once into a cache folder of this machine, by the lock file beside this one: `ETUDE_AZURITE`, or
`~/.cache/etude-tests/azurite-VERSION`.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.emulators.azureml.certificates import Certificates

__all__ = ["Azurite", "AzuriteMissingError", "install_azurite"]

HERE = Path(__file__).parent
START_TIMEOUT_S = 60.0


class AzuriteMissingError(Exception):
    """Azurite cannot be had on this machine; a test skips with this reason."""


def install_azurite() -> Path:
    """The file that node runs. Installs it on the first call; several processes may call at once.

    Raises:
        AzuriteMissingError: no node, or npm cannot install.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise AzuriteMissingError("the Azure ML emulator keeps blobs in Azurite, which needs node and npm")
    version = json.loads((HERE / "package.json").read_text())["dependencies"]["azurite"]
    default = Path.home() / ".cache" / "etude-tests" / f"azurite-{version}"
    folder = Path(os.environ.get("ETUDE_AZURITE", default))
    program = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    complete = folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(HERE / name, folder / name)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise AzuriteMissingError(f"npm could not install Azurite: {done.stderr.strip()[-400:]}")
            complete.touch()
    return program


class Azurite:
    """A running Azurite with one account, over TLS, in memory.

    Args:
        account: storage account name.
        key: its key, base64.
        environment: of the process; holds the marker by which the guard finds it.
    """

    def __init__(self, account: str, key: str, certificates: Certificates, environment: Mapping[str, str]) -> None:
        command = ["node", str(install_azurite()), "--blobHost", "127.0.0.1", "--blobPort", "0"]
        command += ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--loose", "--silent"]
        command += ["--oauth", "basic", "--cert", str(certificates.server), "--key", str(certificates.key)]
        self.account, self.key = account, key
        self._process = subprocess.Popen(
            command,
            env={**environment, "AZURITE_ACCOUNTS": f"{account}:{key}", "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self.port = self._wait_for_port()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/{self.account}"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait_for_port(self) -> int:
        ports: queue.Queue[int] = queue.Queue()
        printed: list[str] = []

        def read() -> None:  # goes on to the end, so that the pipe never fills up
            assert self._process.stdout is not None
            for line in self._process.stdout:
                printed.append(line)
                if found := re.search(r"listen(?:s|ing) (?:at|on) https://127\.0\.0\.1:(\d+)", line):
                    ports.put(int(found[1]))

        threading.Thread(target=read, daemon=True, name="azurite").start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                return ports.get(timeout=0.2)
            except queue.Empty:
                continue
        self.close()
        raise RuntimeError(f"Azurite did not start: {''.join(printed)[-1000:]}")
