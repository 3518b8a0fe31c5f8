"""What goes wrong on request: the next requests that match meet an error, a lost answer or a broken connection."""

from __future__ import annotations

import enum
import re
import threading
from dataclasses import dataclass, field

from tests.emulators.azureml.wire import Request

__all__ = ["Fault", "Faults", "Kind"]


class Kind(enum.Enum):
    STATUS = "status"
    """An error answer instead of any effect."""
    RESET = "reset"
    """The connection is reset before anything happened."""
    LOST = "lost"
    """The request has its effect; the connection is reset instead of an answer."""
    CUT = "cut"
    """The request has its effect; the connection closes in the middle of the answer's body."""
    SLOW = "slow"
    """The answer comes after `delay_s`."""


@dataclass
class Fault:
    """Met by the next `times` requests of `method` (empty: any) whose host and target match the patterns."""

    kind: Kind
    method: str = ""
    path: str = ""
    host: str = ""
    times: int = 1
    status: int = 500
    retry_after_s: float | None = None
    delay_s: float = 0.0
    met: int = field(default=0, init=False)

    def matches(self, request: Request) -> bool:
        return (
            self.met < self.times
            and self.method in ("", request.method)
            and re.search(self.path, request.target) is not None
            and re.search(self.host, request.host) is not None
        )


class Faults:
    """The faults that wait for their requests.

    `path` and `host` are regular expressions that are searched in the request's target (path and query) and host.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._waiting.append(fault)
        return fault

    def status(
        self, status: int, *, method: str = "", path: str = "", times: int = 1, retry_after_s: float | None = None
    ) -> Fault:
        return self.add(Fault(Kind.STATUS, method, path, "", times, status, retry_after_s))

    def reset(self, *, method: str = "", path: str = "", times: int = 1) -> Fault:
        return self.add(Fault(Kind.RESET, method, path, "", times))

    def lose_answer(self, *, method: str = "", path: str = "", times: int = 1) -> Fault:
        return self.add(Fault(Kind.LOST, method, path, "", times))

    def cut(self, *, method: str = "", path: str = "", times: int = 1) -> Fault:
        return self.add(Fault(Kind.CUT, method, path, "", times))

    def slow(self, delay_s: float, *, method: str = "", path: str = "", times: int = 1) -> Fault:
        return self.add(Fault(Kind.SLOW, method, path, "", times, delay_s=delay_s))

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, request: Request) -> Fault | None:
        """The first fault that this request meets, used up by one."""
        with self._lock:
            for fault in self._waiting:
                if fault.matches(request):
                    fault.met += 1
                    if fault.met >= fault.times:
                        self._waiting.remove(fault)
                    return fault
        return None
