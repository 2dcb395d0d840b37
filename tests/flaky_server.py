"""A loopback HTTP server for tests, with byte ranges and faults on demand."""

import re
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """One file of the server; `faults` are used up, one a request, before the file is served whole.

    Faults: a number is a status; ``("drop", n)`` closes the connection after n bytes of the answer's body.
    """

    body: bytes
    etag: str = '"v1"'
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    faults: deque[Any] = field(default_factory=deque)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: clients go away in the middle of an answer here."""


class FlakyServer:
    """Serves `files` (by path, with the leading slash) on a free port of 127.0.0.1 while the context is open.

    `requests` lists what was asked: (path, headers).
    """

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FlakyServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.requests.append((self.path, dict(self.headers)))
                served = outer.files.get(self.path)
                if served is None:
                    self._send(404, b"missing", {})
                    return
                fault = served.faults.popleft() if served.faults else None
                if isinstance(fault, int):
                    self._send(fault, b"busy", served.headers)
                    return
                body, status, headers = served.body, 200, {"ETag": served.etag}
                asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                if asked and served.ranges and self.headers.get("If-Range", served.etag) == served.etag:
                    start, status = int(asked.group(1)), 206
                    headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                    if start >= len(body):
                        self._send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                        return
                    body = body[start:]
                self._send(status, body, headers, cut=fault[1] if fault else None)

            def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[:cut])
                if cut is not None:
                    self.close_connection = True

        return Handler
