"""How far apart three telephones in one room are, measured on what they hear.

    ACCORD_FREESWITCH=/usr/bin/freeswitch python -m bench.telephone_sync [seconds]

The telephones are calls of a second switch, over SIP and RTP, each recorded there as one channel. The room
plays, jumps and pauses all the while, as by somebody in a browser. In windows of two seconds, away from the
jumps, each telephone is correlated with the first. Prints the offsets in milliseconds, which include that a
recording begins up to two media ticks after its order, and in how many pauses anybody heard anything.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import gevent
import numpy as np
import soundfile
import structlog

from tests.freeswitch.process import Switch, free_ports, rtp_ports
from tests.freeswitch.switches import CONF, PASSWORD
from tests.freeswitch.test_telephone_room import Site, wait
from tests.telephone_room import GUEST, NEUTRAL, RATE

NUMBERS = (GUEST, NEUTRAL, GUEST)
WINDOW_MS, STEP_MS, MOST_MS, CLEAR = 2000, 5000, 400, 0.6


def main(seconds: float) -> int:
    """Measure and print the figures."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    (folder / "room").mkdir()
    site = Site(folder / "room")
    sip, esl, outbound = free_ports(3)
    first = rtp_ports()
    environment = {
        "ACCORD_SWITCH_PASSWORD": PASSWORD, "ACCORD_SWITCH_PORT": str(esl), "ACCORD_SIP_PORT": str(sip),
        "ACCORD_OUTBOUND_PORT": str(outbound), "ACCORD_RTP_START": str(first),
        "ACCORD_RTP_END": str(first + 400),
    }  # fmt: skip
    phones = Switch(folder / "phones", CONF, environment, esl, PASSWORD)
    phones.start()
    try:
        return _measure(site, phones, folder, seconds)
    finally:
        phones.stop()
        site.close()


def _measure(site: Site, phones: Switch, folder: Path, seconds: float) -> int:
    legs, files, begins = [], [], []
    for place, number in enumerate(NUMBERS):
        files.append(folder / f"{place}.wav")
        where = f"{{absolute_codec_string=PCMU}}sofia/accord/{number}@127.0.0.1:{site.sip}"
        answer = phones.esl.api(f"originate {where} &playback(silence_stream://-1)")
        legs.append(answer.removeprefix("+OK ").strip())
    wait(lambda: site.has_sound(len(NUMBERS)), 30)
    for leg, file in zip(legs, files, strict=True):
        phones.esl.api(f"uuid_setvar {leg} RECORD_READ_ONLY true")
        begins.append(time.time())
        phones.esl.api(f"uuid_record {leg} start {file}")
    chance, changes, pauses = random.Random(1), [], []
    begin = time.time()
    while time.time() < begin + seconds:
        site.command("play", position_ms=chance.randrange(0, max(1, site.duration_ms - 12_000)))
        changes.append(time.time() - begins[0])
        gevent.sleep(chance.uniform(5, 9))
        site.command("pause")
        pauses.append(time.time() - begins[0])
        gevent.sleep(3)
    for leg in legs:
        phones.esl.api(f"uuid_kill {leg}")
    gevent.sleep(1)
    sounds = [soundfile.read(file, dtype="int16")[0].astype(float) for file in files]
    starts = [round((each - begins[0]) * RATE) for each in begins]
    offsets: list[list[float]] = [[] for _ in NUMBERS[1:]]
    for change in changes:
        at = round((change + 1.5) * RATE)
        for place in range(1, len(NUMBERS)):
            found = _offset(sounds[0], sounds[place], at, at - starts[place])
            if found is not None:
                offsets[place - 1].append(found)
    for place, each in enumerate(offsets):
        late = statistics.quantiles(np.abs(each), n=20)[-1]
        print(
            f"telephone {place + 2}: {len(each)} of {len(changes)} windows, "
            f"median {statistics.median(each):.1f} ms, 95th percentile {late:.1f} ms, "
            f"most {max(map(abs, each)):.1f} ms"
        )
    loud = 0
    for pause in pauses:
        for place, sound in enumerate(sounds):
            at = round((pause + 1) * RATE) - starts[place]
            loud += bool(np.abs(sound[at : at + RATE]).max(initial=0) > 200)
    print(f"pauses: {len(pauses)}, of which so many telephones heard anything: {loud}")
    return 0


def _offset(one: np.ndarray, two: np.ndarray, at: int, there: int) -> float | None:
    """How much later the second hears what the first heard from ``at`` on; ``None`` where it cannot be
    told."""
    length, most = WINDOW_MS * RATE // 1000, MOST_MS * RATE // 1000
    piece, region = one[at : at + length], two[there - most : there + length + most]
    if len(region) < length + 2 * most or not piece.any():
        return None
    scores = np.correlate(region, piece, "valid")
    energy = np.convolve(region**2, np.ones(length), "valid")
    scores = scores / np.maximum(np.sqrt(energy * np.sum(piece**2)), 1)
    best = int(scores.argmax())
    return (best - most) * 1000 / RATE if scores[best] > CLEAR else None


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600))
