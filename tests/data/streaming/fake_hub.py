"""A Hugging Face hub with one dataset in it, on this machine, that remembers what was fetched."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c" * 40


class FakeHub:
    """Serves a folder as the dataset `repo_id`, tagged v3.0.

    Attributes:
        fetched: bytes of each file that were sent.
    """

    def __init__(self, repo_id: str, root: Path) -> None:
        self.fetched: Counter[str] = Counter()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                if path.startswith(f"/datasets/{repo_id}/resolve/"):
                    self._file(path.split("/", 6)[6])
                elif path.startswith(f"/api/datasets/{repo_id}"):
                    self._json(self._described(path.removeprefix(f"/api/datasets/{repo_id}")))
                else:
                    self._json(None)

            do_HEAD = do_GET  # noqa: N815

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                asked = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body).get("paths", [])
                asked = [asked] if isinstance(asked, str) else asked
                self._json([entry(root / name) for name in asked if (root / name).exists()])

            def _described(self, what: str) -> Any:
                if what == "/refs":
                    refs = [{"name": "v3.0", "ref": "refs/tags/v3.0", "targetCommit": COMMIT}]
                    main = [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}]
                    return {"branches": main, "tags": refs, "converts": []}
                if match := re.fullmatch(r"/tree/[^/]+(?:/(.*))?", what):
                    folder = root / (match[1] or "")
                    deep = "recursive=true" in self.path.lower()
                    found = folder.rglob("*") if deep else folder.glob("*")
                    return [entry(path) for path in sorted(found)] if folder.is_dir() else None
                if what == "" or what.startswith("/revision/"):
                    names = [
                        {"rfilename": e["path"]} for e in map(entry, sorted(root.rglob("*"))) if e["type"] == "file"
                    ]
                    return {"id": repo_id, "sha": COMMIT, "siblings": names, "private": False, "tags": []}
                return None

            def _json(self, value: Any) -> None:
                body = json.dumps(value if value is not None else {"error": "not found"}).encode()
                self.send_response(200 if value is not None else 404)
                self.send_header("Content-Type", "application/json")
                if value is None:
                    self.send_header("X-Error-Code", "EntryNotFound" if repo_id in self.path else "RepoNotFound")
                self._finish(body)

            def _file(self, name: str) -> None:
                if not (root / name).is_file():
                    self._json(None)
                    return
                whole = (root / name).read_bytes()
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                first, last = (int(asked[1]), int(asked[2] or len(whole) - 1)) if asked else (0, len(whole) - 1)
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{hashlib.sha256(whole).hexdigest()[:40]}"')
                self.send_header("X-Repo-Commit", COMMIT)
                body = whole[first : last + 1]
                if self.command == "GET":
                    hub.fetched[name] += len(body)
                self._finish(body)

            def _finish(self, body: bytes) -> None:
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        def entry(path: Path) -> dict[str, Any]:
            name = path.relative_to(root).as_posix()
            if path.is_dir():
                return {"type": "directory", "oid": "d" * 40, "size": 0, "path": name}
            return {
                "type": "file",
                "oid": hashlib.sha1(name.encode()).hexdigest(),
                "size": path.stat().st_size,
                "path": name,
            }

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
