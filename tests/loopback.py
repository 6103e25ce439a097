"""A server of raw sockets on loopback: what it sends, and how it hangs up, is the test's."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

After = Literal["keep", "close", "reset", "hang", "trickle"]


@dataclass(frozen=True)
class Reply:
    """Bytes to send, and what follows: the next request, a FIN, a RST, silence, or drops."""

    raw: bytes
    after: After = "keep"


@dataclass
class Loopback:
    """A running server: `heads` are the request heads in order, `connections` how many came."""

    replies: list[Reply]
    listener: socket.socket
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"


def make_answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@contextlib.contextmanager
def serve(replies: Sequence[Reply]) -> Iterator[Loopback]:
    """Answer the requests with `replies`, one after the other, over any connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Loopback(list(replies), listener)
        acceptor = threading.Thread(target=_accept, args=(server,))
        acceptor.start()
        try:
            yield server
        finally:
            server.is_over.set()
            socket.create_connection(listener.getsockname()).close()
            acceptor.join()


def find_closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _accept(server: Loopback) -> None:
    talks = []
    while True:
        connection, _ = server.listener.accept()
        if server.is_over.is_set():
            connection.close()
            break
        server.connections += 1
        talks.append(threading.Thread(target=_talk, args=(server, connection)))
        talks[-1].start()
    for talk in talks:
        talk.join()


def _talk(server: Loopback, connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(30.0)
        while server.replies and (head := _read_head(connection)):
            server.heads.append(head)
            reply = server.replies.pop(0)
            connection.sendall(reply.raw)
            if reply.after != "keep":
                _hang_up(server, connection, reply.after)
                return


def _read_head(connection: socket.socket) -> str:
    """The head of the next request; empty when there is none."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65_536)
        if not chunk:
            return ""
        received += chunk
    return received.decode()


def _hang_up(server: Loopback, connection: socket.socket, after: After) -> None:
    if after == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif after == "hang":
        server.is_over.wait()
    elif after == "trickle":
        while not server.is_over.wait(0.01):
            connection.sendall(b" ")
