"""Local HTTP servers that behave, and misbehave, like those that inputs come from."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate


@dataclass
class Page:
    """What one address gives. ``etag`` and ``modified`` are sent where they are not empty."""

    body: bytes
    kind: str = "application/octet-stream"
    etag: str = ""
    modified: str = ""
    ranges: bool = True
    heeds_if_range: bool = True
    chunked: bool = False
    status: int = 200
    location: str = ""


@dataclass
class Service:
    """Addresses and what they give; ``faults`` are used up first, one a request.

    A fault is a status, a status with a Retry-After, or the number of bytes after which the answer breaks off.
    """

    pages: dict[str, Page] = field(default_factory=dict)
    faults: list[object] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    missing: Callable[[str], Page | None] = lambda path: None
    slow_seconds: float = 0.0
    busy: int = 0
    busiest: int = 0
    url: str = ""


def handler(service: Service) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            service.busy += 1
            service.busiest = max(service.busiest, service.busy)
            try:
                time.sleep(service.slow_seconds)
                self.answer()
            finally:
                service.busy -= 1

        def answer(self) -> None:
            path = self.path
            service.asked.append((path, self.headers["Range"]))
            service.headers.append(dict(self.headers))
            fault = service.faults.pop(0) if service.faults else None
            if isinstance(fault, int) and fault >= 200:
                return self.plain(fault, b"busy")
            if isinstance(fault, tuple) and fault[0] != "cut":
                return self.plain(fault[0], b"busy", {"Retry-After": fault[1]})
            page = (
                service.pages.get(path) or service.pages.get(path.partition("?")[0]) or service.missing(path)
            )
            if page is None:
                return self.plain(404, b"<html><body>Not Found</body></html>", {"Content-Type": "text/html"})
            self.give(page, fault[1] if isinstance(fault, tuple) else None)

        def give(self, page: Page, cut: int | None) -> None:
            start, status = 0, page.status
            wanted = self.headers["Range"] if page.ranges else None
            same = self.headers.get("If-Range") in (None, page.etag or page.modified)
            if wanted and (same or not page.heeds_if_range):
                start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(page.body) and start:
                return self.plain(416, b"", {"Content-Range": f"bytes */{len(page.body)}"})
            self.send_response(status)
            self.send_header("Content-Type", page.kind)
            if page.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(page.body) - start))
            for name, value in (
                ("ETag", page.etag),
                ("Last-Modified", page.modified),
                ("Location", page.location),
            ):
                if value:
                    self.send_header(name, value)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
            self.end_headers()
            body = page.body[start:] if cut is None else page.body[start:cut]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) if page.chunked else body)
            if page.chunked and cut is None:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = cut is not None or self.close_connection

        def plain(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    """Run a service on a free port of this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(service)) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        yield service
        server.shutdown()


def http_date(seconds: float) -> str:
    """Return a date as HTTP writes it."""
    return formatdate(time.time() + seconds, usegmt=True)
