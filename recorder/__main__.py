"""The entry point of ``accord``: patches for gevent first, where the command is a hub, then the commands."""

from __future__ import annotations

import sys

HUBS = frozenset({"daemon", "web"})
"""Commands that run a gevent hub."""


def main() -> None:
    """``accord COMMAND …``"""
    if next((word for word in sys.argv[1:] if word in HUBS), None):
        # Before anything imports socket, ssl or threading, or those keep the blocking ones.
        from gevent import monkey

        monkey.patch_all()
    from recorder.cli import accord

    accord(prog_name="accord")


if __name__ == "__main__":
    main()
