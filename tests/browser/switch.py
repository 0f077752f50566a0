"""A practice switch in its own process, which makes a call for each line on its standard input.

    ACCORD_SWITCH_PASSWORD=… python -m tests.browser.switch EVENT_PORT DAEMON_PORT

A line is the number to call and the language of the conversation, ``+3225550101 fr``. The two talk for three
seconds.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import os
import sys

import gevent
from gevent.fileobject import FileObjectPosix

from demo.practice.demo import CALLERS
from demo.practice.party import PracticeParty, dialogue
from demo.practice.switch import PracticeSwitch


def main(event_port: int, daemon_port: int) -> None:
    with PracticeSwitch(
        password=os.environ["ACCORD_SWITCH_PASSWORD"],
        daemon=f"127.0.0.1:{daemon_port}",
        event_port=event_port,
        environment=os.environ,
    ) as switch:
        for at, line in enumerate(FileObjectPosix(sys.stdin.buffer, "r")):
            number, language = line.split()
            speaks, answers_with = dialogue(language)
            switch.call(
                number,
                PracticeParty(
                    number=CALLERS[at % len(CALLERS)], speaks=speaks, answers_with=answers_with, talks=3.0
                ),
            )
            gevent.sleep(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
