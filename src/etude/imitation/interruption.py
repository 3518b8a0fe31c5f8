"""Stopping on request: the step in hand is finished and saved."""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["Interruption"]


class Interruption:
    """While the block runs, SIGTERM and SIGINT set `requested`; a second SIGINT stops at once.

    Schedulers send SIGTERM and wait some 30 s before they kill; a person presses Ctrl-C.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        return self.received is not None

    def __enter__(self) -> Interruption:
        for number in self.SIGNALS:
            try:
                self._previous[number] = signal.signal(number, self._receive)
            except ValueError:  # not in the main thread: whoever owns it handles signals
                return self
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
