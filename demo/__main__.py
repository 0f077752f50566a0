"""``python -m demo``: see :mod:`demo.run`."""

from __future__ import annotations

import sys

import click

from demo.run import show
from recorder.cli import logs


@click.command()
@click.option("--once", is_flag=True, help="End when the calls can be heard.")
def main(once: bool) -> None:
    """Set up a customer in ./.accord, make four calls, and say where to hear them."""
    logs.configure(sys.stderr)
    sys.exit(show(once))


if __name__ == "__main__":
    main()
