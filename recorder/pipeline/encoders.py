"""Encodes in separate processes of low priority, whose crashes do not affect the worker.

Each :class:`Encoder` is ``python -m recorder.pipeline.encoders``. It prints :data:`READY` once it is loaded,
then reads one line of JSON for each take (``folder`` and ``prompt``) and answers with one (``error_id``,
``message`` and ``hint``, all empty on success, and its cost). A failure before it is ready concerns no take.
It ends with its parent, because an encoder that outlived a killed worker would write into a folder that the
next worker uses.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from recorder import environment
from recorder.audio.encoding import encode_take
from recorder.errors import EncoderError, TakeError
from recorder.spool.layout import AUDIO, read_failure

_BYTES_A_SECOND = 8000 * 2 * 2
_DISK = "disk"

AUTOGROUP = Path("/proc/self/autogroup")
"""Shows and sets the niceness of this process's session (``man 7 sched``)."""

STARTUP_SECONDS = 60.0
"""Time limit of a start, and added to a take's length: the machine may be busy."""

READY: Final = b"ready\n"


@dataclass(frozen=True, slots=True)
class EncodingCost:
    """The cost of encoding a take: seconds of audio, and seconds of CPU time."""

    audio: float
    cpu: float


@dataclass
class Encoder:
    """One process that encodes one take at a time. It is started when needed, and again after a crash."""

    nice: int = 10
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def encode(self, folder: Path, prompt: Path) -> EncodingCost:
        """Run :func:`recorder.audio.encoding.encode_take` in the process.

        Raises :class:`TakeError` as it was raised there, or ``take.encoder_died`` if the process ended or
        took longer than real time; ``OSError`` for a full or broken disk; :class:`EncoderError` if the
        process could not be started, which concerns no take.
        """
        process = self._live_process()
        question = json.dumps({"folder": str(folder), "prompt": str(prompt)}).encode() + b"\n"
        try:
            _opened(process.stdin).write(question)
            _opened(process.stdin).flush()
            answer = _read_answer(_opened(process.stdout), _limit(folder))
        except (BrokenPipeError, TimeoutError) as error:
            self.stop()
            raise TakeError(
                "take.encoder_died",
                f"encoding {folder} was interrupted: {error or 'the process ended'}",
                "see the kernel's log (out of memory?); it is retried, and a take that fails every time "
                "while others are encoded goes into quarantine",
            ) from error
        if answer["error_id"] == _DISK:
            raise OSError(answer["errno"], answer["message"])
        if answer["error_id"]:
            raise TakeError(answer["error_id"], answer["message"], answer["hint"])
        return EncodingCost(answer["audio"], answer["cpu"])

    def stop(self) -> None:
        """Kill the process; its take is encoded again."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _live_process(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is not None:
            self.stop()
        return self.process or self._start_process()

    def _start_process(self) -> subprocess.Popen[bytes]:
        try:
            self.process = process = subprocess.Popen(
                [sys.executable, "-m", "recorder.pipeline.encoders", str(self.nice), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=environment.for_program(os.environ),
            )
            _wait_until_ready(_opened(process.stdout))
        except OSError as error:  # includes BrokenPipeError and TimeoutError
            self.stop()
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise  # the hint for these errors is better
            raise EncoderError(
                "encoder.not_started",
                f"the encoder process cannot be started: {error}",
                "all takes wait; its own output is in this log. Restart the worker if Accord was upgraded "
                "meanwhile, and check that libav is installed and memory is free",
            ) from error
        return process


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise BrokenPipeError("the process has no pipe")
    return pipe


def _limit(folder: Path) -> float:
    """A take's time limit in seconds: the call's length and the limit of a start."""
    return STARTUP_SECONDS + (folder / AUDIO).stat().st_size / _BYTES_A_SECOND


def _wait_until_ready(pipe: IO[bytes]) -> None:
    """Raises ``TimeoutError``, ``BrokenPipeError``."""
    until = time.monotonic() + STARTUP_SECONDS
    while _line(pipe, max(0.0, until - time.monotonic())) != READY:
        pass  # output of a library during its import


def _read_answer(pipe: IO[bytes], seconds: float) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_line(pipe, seconds))
    return answer


def _line(pipe: IO[bytes], seconds: float) -> bytes:
    ready, _, _ = select.select([pipe], [], [], seconds)
    if not ready:
        raise TimeoutError(f"it took longer than {seconds:.0f} s")
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise BrokenPipeError("the process ended")
    return line


def main() -> None:
    """The encoder process. It ends with its input, and ignores the signals that make its parent drain."""
    nice, parent = int(sys.argv[1]), int(sys.argv[2])
    if not environment.end_with_parent(parent):
        return
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    _lower_priority(nice)
    # Output of libraries must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    answers.write(READY)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answers.write(json.dumps(_answer(Path(request["folder"]), Path(request["prompt"]))).encode() + b"\n")


def _lower_priority(nice: int) -> None:
    """Yield the CPU to every other process, above all the switch.

    With Linux's ``autogroup`` (on by default in Debian and Ubuntu) sessions share the CPU equally, and
    niceness counts only within a session: beside a switch in its own session, encoding at niceness 10
    took half of a core in a test. So the encoder starts a session, and sets the niceness of the session, too.
    """
    os.setsid()
    os.nice(nice)
    with suppress(OSError):  # a kernel without autogroup
        AUTOGROUP.write_text(str(nice))


def _answer(folder: Path, prompt: Path) -> dict[str, Any]:
    cpu_start = time.process_time()
    try:
        length = encode_take(folder, prompt)
    except TakeError as error:
        if (cause := read_failure(error)) is not None:
            return _disk_error(cause)
        return {"error_id": error.error_id, "message": error.message, "hint": error.hint}
    except OSError as error:
        return _disk_error(error)
    measures = {"audio": length / 1000, "cpu": time.process_time() - cpu_start}
    return {"error_id": "", "message": "", "hint": "", **measures}


def _disk_error(error: OSError) -> dict[str, Any]:
    return {"error_id": _DISK, "message": error.strerror or str(error), "errno": error.errno or 0, "hint": ""}


if __name__ == "__main__":
    main()
