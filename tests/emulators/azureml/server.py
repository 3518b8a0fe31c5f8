"""One TLS server for all host names of the cloud: reads requests, lets them meet their faults, records them."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.emulators.azureml.faults import Fault, Faults, Kind
from tests.emulators.azureml.proxy import reset_on_close
from tests.emulators.azureml.wire import App, Records, Request, Response, ServiceError, answer, failure

__all__ = ["CloudServer"]


class CloudServer:
    """Serves `app_of(host)` to each request, HTTP/1.1 with kept connections.

    Args:
        context: TLS; None serves plain HTTP (the identity endpoint inside a compute node does).
        app_of: the app of a host name, or None.
    """

    def __init__(
        self, context: ssl.SSLContext | None, app_of: Callable[[str], App | None], faults: Faults, records: Records
    ) -> None:
        self._app_of, self._faults, self._records = app_of, faults, records
        outer = self

        class Handler(_Handler):
            cloud = outer

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

            def get_request(self):  # type: ignore[no-untyped-def]
                connection, address = super().get_request()
                if context is not None:  # the handshake happens on the first read, in the connection's own thread
                    connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                return connection, address

            def handle_error(self, request, client_address):  # type: ignore[no-untyped-def]
                pass  # a client that went away in the middle: its own affair

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="cloud").start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def meet_faults(self, request: Request) -> tuple[Response | None, Fault | None]:
        """The answer, or None where the connection is to be reset; and the fault, where the answer is to be cut."""
        fault = self._faults.take(request)
        if fault is None:
            return self._answer(request), None
        if fault.kind is Kind.RESET:
            return None, fault
        if fault.kind is Kind.STATUS:
            return _injected(fault), None
        if fault.kind is Kind.SLOW:
            time.sleep(fault.delay_s)
        response = self._answer(request)
        return (None if fault.kind is Kind.LOST else response), (fault if fault.kind is Kind.CUT else None)

    def record(self, request: Request, status: int) -> None:
        self._records.add(request, status)

    def _answer(self, request: Request) -> Response:
        app = self._app_of(request.host)
        try:
            if app is None:
                raise ServiceError(404, "HostNotFound", f"Nothing is served at {request.host}.")
            return app(request)
        except ServiceError as error:
            return failure(error)
        except Exception:  # noqa: BLE001  # a mistake of the emulator's must be seen in the client's message
            return answer({"error": {"code": "EmulatorMistake", "message": traceback.format_exc()}}, 501)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 600
    cloud: CloudServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {name.lower().lstrip("$"): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("host", "").split(":")[0].lower()
        request = Request(self.command, host, self.path, unquote(parts.path), query, headers, self._body(headers))
        response, cut = self.cloud.meet_faults(request)
        self.cloud.record(request, response.status if response and not cut else 0)
        if response is None:
            self._reset()
            return
        self._write(response, cut_short=cut is not None)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return self.rfile.read(int(headers.get("content-length") or 0))
        blocks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            blocks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(blocks)

    def _write(self, response: Response, *, cut_short: bool) -> None:
        self.send_response_only(response.status)
        names = {name.lower() for name, _ in response.headers}
        for name, value in response.headers:
            self.send_header(name, value)
        if "x-ms-request-id" not in names:
            self.send_header("x-ms-request-id", uuid.uuid4().hex)
        if "content-length" not in names and response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        body = b"" if self.command == "HEAD" else response.body
        self.wfile.write(body[: len(body) // 2] if cut_short else body)
        if cut_short:
            self.close_connection = True

    def _reset(self) -> None:
        reset_on_close(self.connection)
        self.close_connection = True
        self.connection.close()


def _injected(fault: Fault) -> Response:
    codes = {401: "Unauthorized", 403: "AuthorizationFailed", 404: "ResourceNotFound", 409: "Conflict"}
    codes |= {429: "TooManyRequests", 503: "ServiceUnavailable"}
    headers = {} if fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
    message = f"The emulator was told to answer {fault.status}."
    return failure(ServiceError(fault.status, codes.get(fault.status, "InternalServerError"), message, headers))
