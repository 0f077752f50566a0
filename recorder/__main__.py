"""The entry point of ``accord``; applies gevent's patches first if the command runs a hub."""

from __future__ import annotations

import sys

HUBS = frozenset({"daemon", "web"})
"""Commands that run a gevent hub."""


def main() -> None:
    """``accord COMMAND …``"""
    if next((word for word in sys.argv[1:] if word in HUBS), None):
        # Before any module imports socket, ssl or threading, or it would keep the blocking functions.
        from gevent import monkey

        monkey.patch_all()
    from recorder.cli import accord

    accord(prog_name="accord")


if __name__ == "__main__":
    main()
