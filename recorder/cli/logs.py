"""Structured logs: one line for each event, as JSON unless written to a terminal; a call's id is
``recording``."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from recorder.errors import ConfigError

MODE = 0o640


class Stream(Protocol):
    """Where logs are written: standard error or a :class:`LogFile`."""

    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


class LogFile:
    """A file that several processes append to, and that may be renamed at any moment (logrotate).

    Each line is one write to a descriptor in append mode, so lines of several processes never mix.  Before
    each line the name is compared with the open file; if it leads elsewhere, the file is reopened.  So each
    line is in either the old or the new file, and no process has to be notified.  A line that cannot be
    written (a full disk) is dropped; the next successful line is preceded by the number dropped.  No call
    waits or fails because of a log.
    """

    def __init__(self, path: Path) -> None:
        """Raises :class:`ConfigError` ``log.not_opened``."""
        self._path = path
        self._descriptor = -1
        self._lost_lines = 0
        self._is_torn = False
        try:
            self._open()
        except OSError as error:
            raise ConfigError(
                "log.not_opened",
                f"the log {path} cannot be opened: {error.strerror}",
                "make its folder and give it to Accord's user, or remove [log] path: "
                "logs then go to standard error",
            ) from error

    def write(self, text: str, /) -> int:
        """Append whole lines."""
        try:
            if self._moved():
                self._open()
            if self._lost_lines:
                self._append(f'{{"event": "log.lost", "lines": {self._lost_lines}, "level": "error"}}\n')
                self._lost_lines = 0
            self._append(text)
        except OSError:
            self._lost_lines += 1
        return len(text)

    def flush(self) -> None:
        """Does nothing: no line is buffered."""

    def isatty(self) -> bool:
        return False

    def _append(self, text: str) -> None:
        content = text.encode("utf-8", "backslashreplace")
        if self._is_torn:  # the disk was full in the middle of a line
            content = b"\n" + content
        size = os.write(self._descriptor, content)
        self._is_torn = size < len(content)
        if self._is_torn:
            raise OSError("only a part was written")

    def _moved(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _open(self) -> None:
        fresh = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        if self._descriptor >= 0:
            with suppress(OSError):  # what it held is written or lost already
                os.close(self._descriptor)
        self._descriptor = fresh
        self._is_torn = False


def configure(stream: Stream, level: int = logging.INFO) -> None:
    """Send the logs of Accord, from a ``level`` of :mod:`logging` on, and of its libraries to a stream."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # A line with its end in one write: a pipe or a file that others write to as well keeps it whole.
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]  # it writes and flushes
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=stream, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )


def begin(path: Path | None) -> None:
    """Set up logging for a long-lived process: write to the file that the settings name, and ignore SIGHUP.

    ``systemctl reload`` and logrotate send SIGHUP; nothing needs doing, since a renamed log is noticed
    anyway.  At a terminal SIGHUP keeps its meaning: the terminal is gone.  Raises :class:`ConfigError`.
    """
    configure(sys.stderr if path is None else LogFile(path))
    if not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, lambda *_: None)
