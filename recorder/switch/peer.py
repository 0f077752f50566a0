"""Whose process is at the other end of a TCP connection, where it is on this machine.

The kernel is asked for that one connection (``sock_diag``): unlike ``/proc/net/tcp`` this takes the same time
however many connections there are, so that whoever opens thousands does not hold us up.
"""

from __future__ import annotations

import ipaddress
import socket as plain
import struct
from typing import Final

from gevent import socket

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST: Final = 1  # NLM_F_REQUEST: one socket, no listing
_NO_COOKIE: Final = b"\xff" * 8
_HEADER: Final = struct.Struct("=IHHII")
_ID: Final = struct.Struct("!HH16s16s4x8s")
_MESSAGE: Final = struct.Struct("=BBBB")
_UID_AT: Final = _HEADER.size + _MESSAGE.size + _ID.size + 3 * 4
"""Behind the socket's id: when it expires and its two queues (``struct inet_diag_msg``)."""


def owner(connection: socket.socket) -> int | None:
    """The user id of the process that has the other end of a connection; ``None`` where the other end is on
    another machine, in another network namespace, or gone, or the kernel does not say."""
    try:
        here, there = connection.getsockname(), connection.getpeername()
        own, other = _address(here[0]), _address(there[0])
        family = plain.AF_INET if other.version == 4 else plain.AF_INET6
        # Their socket is the one whose own end is our other one.
        wanted = _ID.pack(there[1], here[1], _padded(other), _padded(own), _NO_COOKIE)
        with socket.socket(plain.AF_NETLINK, plain.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(1.0)
            kernel.sendto(_question(family, wanted), (0, 0))
            answer = kernel.recv(4096)
    except (OSError, ValueError):
        return None
    return _uid(answer, wanted)


def _question(family: int, wanted: bytes) -> bytes:
    # struct inet_diag_req_v2: family, protocol, no extensions, padding; states, of which any will do.
    body = struct.pack("=BBBxI", family, plain.IPPROTO_TCP, 0, 0xFFFFFFFF) + wanted
    return _HEADER.pack(_HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0) + body


def _uid(answer: bytes, wanted: bytes) -> int | None:
    if len(answer) < _UID_AT + 8 or _HEADER.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return None
    found = answer[_HEADER.size + _MESSAGE.size :]
    # Both ports: where there is no such connection the kernel gives a listening socket, whose other end is
    # nobody's.  Not the addresses: a socket for both families says them in another form.
    if found[:4] != wanted[:4]:
        return None
    uid, inode = struct.unpack_from("=II", answer, _UID_AT)
    # One that its process has closed belongs to nobody, and is said to be root's.
    return int(uid) if inode else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _padded(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return address.packed.ljust(16, b"\0")
