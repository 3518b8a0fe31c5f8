"""A CONNECT proxy that knows a few host names only.

A client with `HTTPS_PROXY` set to it keeps the real host names, and its TLS; what it reaches is a server of this
machine.
Every other host is refused with 403, so a test can never reach the real service, nor anything else.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import socketserver
import struct
import threading
from collections.abc import Callable

__all__ = ["ConnectProxy", "reset_on_close"]


class ConnectProxy:
    """Tunnels `CONNECT host:443` to the loopback port that `port_of(host)` gives, None being a refusal."""

    def __init__(self, port_of: Callable[[str], int | None]) -> None:
        self.refused: list[str] = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                proxy._serve(self, port_of)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="proxy").start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: socketserver.StreamRequestHandler, port_of: Callable[[str], int | None]) -> None:
        words = handler.rfile.readline(4096).decode("latin-1").split()
        while handler.rfile.readline(65536) not in (b"\r\n", b"\n", b""):
            pass
        if len(words) < 2:
            return
        host = words[1].rsplit(":", 1)[0].lower()
        port = port_of(host) if words[0] == "CONNECT" else None
        if port is None:
            self.refused.append(words[1])
            handler.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            handler.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _pump(handler.connection, upstream)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until one side closes; a reset on one side becomes a reset on the other."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                source, target = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                try:
                    block = source.recv(1 << 16)
                    if not block:
                        return
                    target.sendall(block)
                except ConnectionResetError:
                    reset_on_close(target)
                    return
                except OSError:
                    return


def reset_on_close(connection: socket.socket) -> None:
    """Closing `connection` sends RST instead of FIN, as a machine does that lost its process."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
