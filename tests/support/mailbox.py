"""A small HTTP server that keeps what apprise posts to it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Mailbox:
    """status: what it answers. gate: answers wait until it is open."""

    def __init__(self) -> None:
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0
        self.mails: list[dict[str, Any]] = []
        self._came = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def url(self, path: str = "") -> str:
        """As apprise wants it."""
        return f"json://127.0.0.1:{self._server.server_port}/{path}"

    @property
    def titles(self) -> list[str]:
        return [mail["title"] for mail in self.mails]

    def wait(self, holds: Callable[[], bool], within_s: float = 10.0) -> None:
        """Until something is so, which is looked at whenever somebody posts."""
        with self._came:
            assert self._came.wait_for(holds, within_s), (self.asked, self.mails)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        box = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                mail = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with box._came:
                    box.asked += 1
                    box._came.notify_all()
                box.gate.wait(10)
                with box._came:
                    if box.status == 200:
                        box.mails.append(mail)
                    box._came.notify_all()
                with contextlib.suppress(OSError):
                    self.send_response(box.status)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    @contextlib.contextmanager
    def open(self) -> Iterator[Mailbox]:
        self._thread.start()
        try:
            yield self
        finally:
            self.gate.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    with Mailbox().open() as box:
        yield box
