"""LeRobot prints and logs while it builds a policy; what étude prints must stay readable."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

__all__ = ["quiet"]

# Libraries whose loggers have handlers of their own, besides the root's.
_WITH_HANDLERS = (None, "transformers", "huggingface_hub", "diffusers")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed, and hold back what is logged until the block has ended well.

    When the block raises, what was logged is dropped: the error says it, once.
    """
    handlers = [handler for name in _WITH_HANDLERS for handler in logging.getLogger(name).handlers]
    holds = [_Hold(handler) for handler in handlers]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except BaseException:
        for hold in holds:
            hold.records.clear()
        raise
    finally:
        for hold in holds:
            hold.release()


class _Hold:
    """Keeps what a handler is given, until it is released."""

    def __init__(self, handler: logging.Handler) -> None:
        self.records: list[logging.LogRecord] = []
        self._handler = handler
        handler.addFilter(self._keep)

    def _keep(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        return False

    def release(self) -> None:
        """Let the records through that are still held."""
        self._handler.removeFilter(self._keep)
        for record in self.records:
            self._handler.handle(record)
