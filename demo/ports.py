"""The ports that the demo listens on."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from recorder.errors import ConfigError
from recorder.store.seaweedfs import foreign_socket


@dataclass(frozen=True, slots=True)
class Ports:
    """What this start listens on; all on loopback."""

    web: int
    event_socket: int
    daemon: int
    store: int
    sip: int
    outbound: int
    phones: int
    phones_sip: int
    metrics: int
    telephone: int


def choose_ports() -> Ports:
    """The usual ports if they are free, otherwise others."""
    used_ports: set[int] = set()

    def pick(usual: int, count: int = 1) -> int:
        candidates: list[int] = [usual, *range(usual + 1000, 60000, 97)]
        for base in candidates:
            block = set(range(base, base + count))
            if not block & used_ports and all(_is_free(port) for port in block):
                used_ports.update(block)
                return base
        raise ConfigError(
            "demo.ports", "there are no free ports on 127.0.0.1", "stop a program that listens there"
        )

    return Ports(
        web=pick(8080),
        event_socket=pick(8021),
        daemon=pick(8084),
        store=pick(8333, 8),
        sip=pick(5080),
        outbound=pick(5085),
        phones=pick(8031),
        phones_sip=pick(5090),
        metrics=pick(9184, 3),
        telephone=pick(8088),
    )


def _is_free(port: int) -> bool:
    if foreign_socket(port):
        return False
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
