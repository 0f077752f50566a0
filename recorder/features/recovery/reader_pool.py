"""Reads places of the bucket ahead of a rebuild, with several threads, and in several processes.

Verifying a recording occupies a processor for longer than fetching it does, and an interpreter uses one
processor at a time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from types import TracebackType

from recorder import environment
from recorder.errors import ConfigError
from recorder.features.recovery.prefix_verification import PrefixReader
from recorder.features.recovery.rebuild_queue import QueuedPlace
from recorder.features.recovery.recording_rows import PlaceReading

OpenReader = Callable[[], PrefixReader]


@dataclass(frozen=True, slots=True)
class PlaceBatch:
    """The readings of some places, and the wrapped keys of their tenants in the bucket, as JSON text."""

    readings: list[PlaceReading]
    tenant_keys: Mapping[str, str]


class ReaderPool:
    """Reads with ``threads`` threads in each of several ``processes``, where ``open_reader``, which must be
    picklable, opens a reader; with one process, in this one. A context manager."""

    def __init__(self, open_reader: OpenReader, threads: int, processes: int = 1) -> None:
        self._parts = processes
        self._pool: Executor
        if processes > 1:
            arguments = (open_reader, threads, os.getpid())
            # Spawned, as this process has threads and connections that a fork would share.
            self._pool = ProcessPoolExecutor(processes, get_context("spawn"), _open_process, arguments)
            self._read: Callable[[Sequence[QueuedPlace]], PlaceBatch] = _read_in_process
        else:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="rebuild")
            self._read = _Reader(open_reader(), threads).read

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def submit(self, places: Sequence[QueuedPlace]) -> list[Future[PlaceBatch]]:
        """Begin to read places; :func:`results` returns them in their order."""
        return [self._pool.submit(self._read, some) for some in _split(places, self._parts)]


def results(futures: Sequence[Future[PlaceBatch]]) -> PlaceBatch:
    """Wait for places that are being read. Raises what :meth:`PrefixReader.read` raises, and
    :class:`ConfigError` (``rebuild.reader_died``)."""
    readings, keys = list[PlaceReading](), dict[str, str]()
    try:
        for future in futures:
            batch = future.result()
            readings += batch.readings
            keys.update(batch.tenant_keys)
    except BrokenProcessPool as error:
        raise ConfigError(
            "rebuild.reader_died",
            "a process that reads from the bucket has ended",
            "see the kernel's log (out of memory?) and run it again: it goes on where it was; "
            "`--processes 1` starts no others",
        ) from error
    return PlaceBatch(readings, keys)


class _Reader:
    """Reads some places with several threads."""

    def __init__(self, reader: PrefixReader, threads: int) -> None:
        self._reader = reader
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")

    def read(self, places: Sequence[QueuedPlace]) -> PlaceBatch:
        parts = self._pool.map(self._read_some, _split(places, self._threads))
        readings = [reading for part in parts for reading in part]
        tenants = {reading.row.tenant for reading in readings if reading.row is not None}
        return PlaceBatch(readings, self._reader.stored_keys(tenants))

    def _read_some(self, places: Sequence[QueuedPlace]) -> list[PlaceReading]:
        return [self._reader.read(place) for place in places]


_process_reader: _Reader
"""The reader of a process of a :class:`ReaderPool`."""


def _open_process(open_reader: OpenReader, threads: int, parent: int) -> None:
    global _process_reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the parent's
    if not environment.end_with_parent(parent):
        os._exit(1)
    _process_reader = _Reader(open_reader(), threads)


def _read_in_process(places: Sequence[QueuedPlace]) -> PlaceBatch:
    return _process_reader.read(places)


def _split(places: Sequence[QueuedPlace], parts: int) -> Iterator[Sequence[QueuedPlace]]:
    """Divide places into at most so many parts of one size, in their order."""
    size = -(-len(places) // parts) or 1
    for start in range(0, len(places), size):
        yield places[start : start + size]
