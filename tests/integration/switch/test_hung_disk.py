"""A hanging disk blocks every thread for disk work, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import pytest

from recorder.capture.spool_writer import SpoolWriter
from recorder.capture.thread_pool import THREADS
from recorder.domain.parties import Party
from recorder.ids import uuid7
from recorder.spool.layout import CallStart
from recorder.switch.standing_connection import Node, ReconnectBackoff
from tests.integration.switch.conftest import QUICK
from tests.integration.switch.test_standing_connection import CallbackLog, switch

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.fixture
def hung_writers(tmp_path: Path) -> Iterator[list[SpoolWriter]]:
    """More calls than threads, each blocked opening a pipe without a reader."""
    writers, pipes = [], []
    for _ in range(2 * THREADS):
        one = CallStart(
            str(uuid7(AT)), None, None, "112", "inbound", "n", "c", Party("withheld", ""), AT, (), None
        )
        writers.append(SpoolWriter(tmp_path, one.recording, lambda error: None))
        writers[-1].folder.mkdir()
        pipes.append(writers[-1].folder / ".call.json.tmp")
        os.mkfifo(pipes[-1])
        writers[-1].open(one)
    gevent.sleep(0)  # each has requested a thread
    yield writers
    read = [os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) for pipe in pipes]
    assert all(writer.flush(10) for writer in writers)
    for descriptor in read:
        os.close(descriptor)


def test_reconnects_by_name_while_the_disk_hangs(
    peer: Any, wait: Callable[[Callable[[], object]], None], hung_writers: list[SpoolWriter]
) -> None:
    callbacks = CallbackLog()
    peer.script = switch
    node = Node(
        "localhost", peer.port, "secret", names=("DTMF",), on_event=callbacks.event, on_up=callbacks.up,
        on_down=callbacks.down, random=lambda: 0.0, limits=QUICK,
        backoff=ReconnectBackoff(first=0.05, longest=0.1),
    )  # fmt: skip
    node.start()
    try:
        wait(node.up.is_set)
        peer.lines[0].sock.shutdown(2)
        wait(lambda: callbacks.order.count("up") == 2)
    finally:
        node.stop()
    assert not any(writer.flush(0.0) for writer in hung_writers), "the disk was hanging the whole time"
