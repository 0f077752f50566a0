"""``python -m demo.practice``: a practice switch as a process, with a few calls.

    ACCORD_SWITCH_PASSWORD=… python -m demo.practice --event-port 8021 --daemon 127.0.0.1:8084 \
        --call +3225550101:fr --call +3225550102:en --stay

Prints one line per step of each call. Exits with 0 if every call was connected, otherwise with 1; with
``--stay`` it runs until SIGTERM, as a switch does. ``practice_call NUMBER:LANGUAGE[:agrees]`` on its event
socket makes another call.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import logging  # noqa: E402  # gevent first
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import click  # noqa: E402
import gevent  # noqa: E402
import structlog  # noqa: E402
from gevent.event import Event  # noqa: E402

from demo.practice.demo import DemoCall, Progress, keep_sound, make_calls, wait_for_daemon  # noqa: E402
from demo.practice.pace import Pace  # noqa: E402
from demo.practice.switch import CONF, PracticeSwitch  # noqa: E402
from demo.practice.telephone import BrowserTelephone  # noqa: E402
from recorder.errors import AccordError  # noqa: E402

PASSWORD = "ACCORD_SWITCH_PASSWORD"  # noqa: S105  # the name of a variable


def _call_again(switch: PracticeSwitch, text: str) -> str:
    """Make another call while the switch runs; returns the reply of the event socket."""
    try:
        call = _Call().convert(text, None, None)
    except click.UsageError as error:
        return f"-ERR {error.message}\n"
    gevent.spawn(make_calls, switch, (call,), lambda progress: click.echo(str(progress)))
    return "+OK\n"


class _Call(click.ParamType[DemoCall]):
    name = "NUMBER:LANGUAGE[:agrees]"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> DemoCall:
        if isinstance(value, DemoCall):
            return value
        number, language, more = [*str(value).split(":"), "", ""][:3]
        if not number or language not in {"fr", "en"} or more not in {"", "agrees"}:
            self.fail(
                f"{value!r} has not the form NUMBER:LANGUAGE[:agrees], for example +3225550101:fr",
                parameter,
                context,
            )
        return DemoCall(number, language, more == "agrees")


@click.command()
@click.option("--event-port", type=int, default=8021, show_default=True, help="Where the daemon logs in.")
@click.option("--daemon", default="127.0.0.1:8084", show_default=True, help="Where the daemon takes calls.")
@click.option("--conf", type=click.Path(path_type=Path, exists=True), default=CONF, help="freeswitch_conf.")
@click.option("--call", "calls", type=_Call(), multiple=True, help="A call to make; can be repeated.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Times real time.")
@click.option("--wait", type=float, default=60.0, show_default=True, help="Seconds to wait for the daemon.")
@click.option("--stay/--no-stay", default=False, help="Go on after the calls, until SIGTERM.")
@click.option("--sounds", type=click.Path(path_type=Path, exists=True), help="Where called telephones keep "
              "what they hear, NUMBER.wav.")  # fmt: skip
@click.option("--telephone", type=(int, str), metavar="PORT NUMBER", help="A page with a "
              "telephone that calls a number.")  # fmt: skip
def main(event_port: int, daemon: str, conf: Path, calls: tuple[DemoCall, ...], speed: float, wait: float,
         stay: bool, sounds: Path | None, telephone: tuple[int, str] | None) -> None:  # fmt: skip
    """A practice switch.  The event socket's password comes from ACCORD_SWITCH_PASSWORD."""
    password = os.environ.get(PASSWORD)
    if not password:
        raise click.UsageError(f"set {PASSWORD}: the practice switch has no default password")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    try:
        with PracticeSwitch(password=password, daemon=daemon, event_port=event_port, conf=conf,
                            pace=Pace(speed), environment=os.environ) as switch:  # fmt: skip
            if sounds is not None:
                switch.hear = partial(keep_sound, sounds)
            if telephone is not None:
                BrowserTelephone(switch, *telephone).start()
            switch.add_command("practice_call", partial(_call_again, switch))
            connected = _make(switch, calls, wait)
            if stay:
                stop.wait()
    except (AccordError, OSError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if connected == len(calls) else 1)


def _make(switch: PracticeSwitch, calls: tuple[DemoCall, ...], wait: float) -> int:
    if not calls:
        return 0
    if not wait_for_daemon(switch, wait):
        click.echo(f"no daemon logged in within {wait:.0f} s", err=True)
        return 0

    def report(progress: Progress) -> None:
        click.echo(str(progress))

    connected = len(make_calls(switch, calls, report))
    click.echo(f"{connected} of {len(calls)} calls were connected and ended")
    return connected


if __name__ == "__main__":
    main()
