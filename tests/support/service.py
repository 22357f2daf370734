"""What a service manager hears from processes that it has started."""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path
from threading import Thread

_CREDENTIALS = struct.Struct("3i")


class Heard:
    """The other end of $NOTIFY_SOCKET. It holds a few messages only, so a thread takes them out."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))
        self._messages: dict[int, list[str]] = {}
        self._listening = Thread(target=self._listen, daemon=True)
        self._listening.start()

    def of(self, pid: int) -> list[str]:
        """All that a process has said so far, in order."""
        return list(self._messages.get(pid, []))

    def all_of(self, pid: int) -> list[str]:
        """All that it has said, with nothing more to come: it stops listening."""
        self.close()
        return self.of(pid)

    def close(self) -> None:
        """Take in what has arrived."""
        with contextlib.suppress(OSError):  # it may be closed
            self._socket.shutdown(socket.SHUT_RD)
        self._listening.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            data, extra, _, _ = self._socket.recvmsg(4096, 64)
            if not data:
                return
            ((_, _, credentials),) = extra
            pid = _CREDENTIALS.unpack(credentials)[0]
            self._messages.setdefault(pid, []).append(data.decode())
