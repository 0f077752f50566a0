"""The entry point of ``accord``; applies gevent's patches first if the command runs a hub."""

from __future__ import annotations

import os
import sys

HUBS = frozenset({"daemon", "web"})
"""Commands that run a gevent hub."""


def main() -> None:
    """``accord COMMAND …``"""
    # Before numpy is imported, and for child processes. Its matrices are small here: OpenBLAS's threads would
    # mostly spin while they wait for each other, which costs many times the computation on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # structlog imports it where it is installed, for tracebacks that Accord does not print.
    sys.modules["rich"] = None  # type: ignore[assignment]
    if next((word for word in sys.argv[1:] if word in HUBS), None):
        # Before any module imports socket, ssl or threading, or it would keep the blocking functions.
        from gevent import monkey

        monkey.patch_all()
    from recorder.cli import accord

    accord(prog_name="accord")


if __name__ == "__main__":
    main()
