"""``accord top``: live calls and the spool in the terminal."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from threading import Thread

import click
from peewee import PeeweeException

from recorder.catalogue import tenant_queries
from recorder.cli.top.picture import Picture, Watcher
from recorder.cli.top.screen import View, draw, everything
from recorder.cli.top.terminal import Terminal
from recorder.clock import to_iso, utc_now
from recorder.errors import AccordError
from recorder.processes.services import Context

EVERY = 1.0
"""Seconds between two looks; a large spool is looked at less often, at most a fifth of the time."""

SOON = 0.3
"""Seconds between the two looks that ``--once`` takes to say what grows."""


@click.command()
@click.option("--once", is_flag=True, help="Say it once, as plain text.")
@click.option("--json", "as_json", is_flag=True, help="Say it once, as JSON.")
@click.option("--numbers", is_flag=True, help="Show who calls whom, too.")
@click.pass_obj
def top(context: Context, once: bool, as_json: bool, numbers: bool) -> None:
    """Show the live calls and the spool of this node until q is pressed."""
    watcher = Watcher(context.settings, utc_now)
    names: dict[str, str] = {}
    looking = Thread(target=_learn_names, args=(context, names), name="names", daemon=True)
    looking.start()
    view = View(numbers, names)
    if once or as_json or not (sys.stdout.isatty() and sys.stdin.isatty()):
        watcher.ask()
        watcher.look()
        time.sleep(SOON)
        picture = watcher.look()
        looking.join(SOON)
        if as_json:
            click.echo(json.dumps(_body(picture, numbers, names), ensure_ascii=False, indent=1))
        else:
            click.echo("\n".join(line.text for line in everything(picture, view)))
        return
    watcher.listen()
    _watch(watcher, view)
    # A thread may wait for a database that does not answer: nothing is held up by it.
    sys.stdout.flush()
    os._exit(0)


def _watch(watcher: Watcher, view: View) -> None:
    with Terminal() as terminal:
        going_on = True
        while going_on:
            began = time.monotonic()
            picture = watcher.look()
            took = time.monotonic() - began

            def redraw(picture: Picture = picture) -> None:
                terminal.show(draw(picture, view, *terminal.size))

            redraw()
            going_on = terminal.wait(max(EVERY, 4 * took), redraw)


def _learn_names(context: Context, names: dict[str, str]) -> None:
    """Customers' names, where the catalogue answers; their ids do as well."""
    try:
        context.open_catalogue()
        names.update({row.id: row.name for row in tenant_queries.all_tenants()})
    except (AccordError, OSError, PeeweeException):
        return


def _body(picture: Picture, numbers: bool, names: Mapping[str, str]) -> dict[str, object]:
    calls = [asdict(call) for call in picture.calls]
    for call in calls:
        if not numbers:
            del call["number"], call["outside"]
    return {
        "at": to_iso(picture.at),
        "node": picture.node,
        "daemon": picture.daemon.pid if picture.daemon else None,
        "watches": picture.watches,
        "worker": picture.worker.pid if picture.worker else None,
        "calls": calls,
        "spool": [
            {
                "tenant": each.tenant,
                "name": names.get(each.tenant),
                "stages": dict(each.stages),
                "oldest_seconds": round(each.oldest, 1),
            }
            for each in picture.waiting
        ],
        "quarantine": picture.quarantine,
        "disk_used": None if picture.disk is None else round(picture.disk.used, 4),
        "disk_room": picture.room.value,
        "checks": {name: trouble or "ok" for name, trouble in picture.said.items()},
        "trouble": picture.trouble,
    }
