"""Finds the owner of a TCP socket on this machine.

The kernel is asked for that one socket (``sock_diag``), which takes a few microseconds however many
connections there are; reading ``/proc/net/tcp`` takes milliseconds even on an idle machine.
"""

from __future__ import annotations

import socket as plain
import struct
from functools import cache
from pathlib import Path
from typing import Final

from gevent import monkey, socket

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST: Final = 1  # NLM_F_REQUEST: one socket, no listing
_NO_COOKIE: Final = b"\xff" * 8
_HEADER: Final = struct.Struct("=IHHII")
_ID: Final = struct.Struct("!HH16s16s4x8s")
_MESSAGE: Final = struct.Struct("=BBBB")
_UID_AT: Final = _HEADER.size + _MESSAGE.size + _ID.size + 3 * 4
"""After the socket's id: its expiry and its two queues (``struct inet_diag_msg``)."""


Address = tuple[str, int]


def peer_uid(connection: socket.socket) -> int | None:
    """The user id of the process at the other end of a connection; ``None`` if that end is on another machine
    or closed, or as in :func:`owner_uid`."""
    try:
        return owner_uid(connection.getpeername()[:2], connection.getsockname()[:2])
    except OSError:
        return None


def listener_uid(address: Address) -> int | None:
    """The user id of the process that listens at an address of this machine; ``None`` if none listens, or as
    in :func:`owner_uid`."""
    return owner_uid(address, (address[0], 0))


def owner_uid(own: Address, other: Address) -> int | None:
    """The user id of the process with the socket at the local address ``own``, connected to ``other``.

    ``None`` if there is no such socket, if it is in another network namespace, if the kernel cannot be asked,
    or if it does not tell the owner: in a user namespace, such as that of systemd's ``PrivateUsers``, all
    users outside it look alike.
    """
    try:
        (family, here), (_, there) = _packed(own[0]), _packed(other[0])
        request = _ID.pack(own[1], other[1], here, there, _NO_COOKIE)
        # The kernel answers during sendto, so nothing blocks here.
        kernel = _plain_socket()(plain.AF_NETLINK, plain.SOCK_DGRAM, NETLINK_SOCK_DIAG)
        with kernel:
            kernel.sendto(_question(family, request), (0, 0))
            answer = kernel.recv(4096, plain.MSG_DONTWAIT)
        return _uid(answer, request)
    except OSError:
        return None


@cache
def _plain_socket() -> type[plain.socket]:
    """The socket class without gevent's watchers, which are not needed here."""
    plain_socket: type[plain.socket] = monkey.get_original("socket", "socket")
    return plain_socket


def _question(family: int, request: bytes) -> bytes:
    # struct inet_diag_req_v2: family, protocol, no extensions, padding, any state.
    body = struct.pack("=BBBxI", family, plain.IPPROTO_TCP, 0, 0xFFFFFFFF) + request
    return _HEADER.pack(_HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0) + body


def _uid(answer: bytes, request: bytes) -> int | None:
    if len(answer) < _UID_AT + 8 or _HEADER.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return None
    found = answer[_HEADER.size + _MESSAGE.size :]
    # Compare both ports: if there is no such connection, the kernel returns a listening socket, whose remote
    # port is 0. Do not compare addresses: a dual-stack socket has them in another form.
    if found[:4] != request[:4]:
        return None
    uid, inode = struct.unpack_from("=II", answer, _UID_AT)
    # A socket that its process has closed has no inode, and is reported as root's.
    return int(uid) if inode and uid != _unmapped() else None


@cache
def _unmapped() -> int | None:
    """The user id that stands for every user outside our user namespace; ``None`` if there are none. Raises
    ``OSError``."""
    if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
        return None
    return int(Path("/proc/sys/kernel/overflowuid").read_text())


def _packed(address: str) -> tuple[int, bytes]:
    """The family and the bytes of an address; an IPv4-mapped address counts as IPv4."""
    text = address.removeprefix("::ffff:")
    family = plain.AF_INET if "." in text else plain.AF_INET6
    return family, plain.inet_pton(family, text.partition("%")[0]).ljust(16, b"\0")
