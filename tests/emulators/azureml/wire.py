"""Requests and answers as the emulator sees them, and the record that is kept of every request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["App", "Records", "Request", "Response", "ServiceError", "answer", "failure"]


@dataclass
class Request:
    """One request. `query` has lower-case names without `$`; `headers` has lower-case names."""

    method: str
    host: str
    target: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        try:
            content = json.loads(self.body or b"{}")
        except ValueError:
            raise ServiceError(400, "InvalidRequestContent", "The request content was invalid JSON.") from None
        if not isinstance(content, dict):
            raise ServiceError(400, "InvalidRequestContent", "The request content must be an object.")
        return content

    def url(self, path: str) -> str:
        return f"https://{self.host}{path}"


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


App = Callable[[Request], Response]


class ServiceError(Exception):
    """A refusal, in the words and codes of the service."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as JSON."""
    named = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Response(status, json.dumps(content).encode(), list(named.items()))


def failure(error: ServiceError) -> Response:
    return answer({"error": {"code": error.code, "message": error.message}}, error.status, error.headers)


@dataclass(frozen=True)
class Record:
    """What a client sent. The body is on disk, since uploads are large."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]
    status: int
    _bodies: Path
    _start: int
    _length: int

    @property
    def body(self) -> bytes:
        with self._bodies.open("rb") as stream:
            stream.seek(self._start)
            return stream.read(self._length)

    def __contains__(self, text: str) -> bool:
        """Is `text` anywhere in this request: its address, its headers, its body?"""
        return (
            text in self.target or any(text in value for value in self.headers.values()) or text.encode() in self.body
        )


class Records:
    """Every request that reached the emulator, in order of its answer."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream = file.open("wb")
        self._lock = threading.Lock()
        self._records: list[Record] = []

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def add(self, request: Request, status: int) -> None:
        """`status` 0: the connection was cut instead of an answer."""
        with self._lock:
            start = self._stream.tell()
            self._stream.write(request.body)
            self._stream.flush()
            self._records.append(
                Record(
                    request.method,
                    request.host,
                    request.target,
                    request.headers,
                    status,
                    self._file,
                    start,
                    len(request.body),
                )
            )

    def matching(self, method: str = "", path: str = "", host: str = "") -> list[Record]:
        """Records whose method is, and whose target and host contain, what is given."""
        return [
            record for record in self if method in ("", record.method) and path in record.target and host in record.host
        ]

    def holding(self, text: str, *, besides: tuple[str, ...] = ()) -> list[Record]:
        """Records that contain `text`, apart from hosts that contain one of `besides` (a vault is sent its secrets)."""
        return [record for record in self if text in record and not any(name in record.host for name in besides)]

    def close(self) -> None:
        self._stream.close()
