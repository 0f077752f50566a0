"""Opus in WebM instead of Ogg, without encoding it again: a browser begins to play and to seek in it with
half the requests, because it has an index."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

CLUSTER_MS: Final = 2000
"""A browser reads a cluster to begin in it, and the index has an entry for each."""

CUE_BYTES: Final = 32
"""At most, for an entry of the index."""


SILENT_FRAME: Final = b"\xff\xfe"
"""A frame of silence in Opus (RFC 6716): CELT with its silence flag set."""

SILENT_FRAME_MS: Final = 20

Passages = Sequence[tuple[int, int]]
"""Where passages begin and end, in milliseconds of audio."""


def remux_opus(ogg: bytes, passages: Passages | None = None) -> bytes:
    """The packets of an Ogg Opus file in a WebM file; with ``passages``, those outside of them are silence.
    Raises ``av.error.FFmpegError`` for anything else."""
    target = io.BytesIO()
    with av.open(io.BytesIO(ogg), format="ogg") as source:
        assert isinstance(source, InputContainer)
        clusters = (source.duration or 0) // (CLUSTER_MS * 1000) + 2
        options = {
            # Nothing random and no date: the same bytes each time, so that parts of them can be requested.
            "fflags": "+bitexact",
            "cluster_time_limit": str(CLUSTER_MS),
            # The index before the sound, or it would take a request for the end of the file first.
            "reserve_index_space": str(clusters * CUE_BYTES + 256),
        }
        with av.open(target, "w", format="webm", container_options=options) as container:
            stream = source.streams.audio[0]
            copy: AudioStream = container.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.dts is None:  # the end
                    continue
                if passages is not None and not _is_within(packet, passages):
                    packet = _silence(packet)
                packet.stream = copy
                container.mux(packet)
    return target.getvalue()


def _is_within(packet: Any, passages: Passages) -> bool:
    """Whether all of a packet is in one of the passages."""
    begin, length = _milliseconds(packet)
    return any(first <= begin and begin + length <= last for first, last in passages)


def _milliseconds(packet: Any) -> tuple[float, float]:
    """Where a packet begins, and how long it is."""
    unit = packet.time_base * 1000
    return float(packet.pts * unit), float(packet.duration * unit)


def _silence(packet: Any) -> Any:
    """A packet that is silent for as long. Its first byte says: CELT, full band, 20 ms, two channels, and how
    many frames follow (RFC 6716, section 3)."""
    count = max(1, round(_milliseconds(packet)[1] / SILENT_FRAME_MS))
    silent: Any = Packet(bytes([0xFF, count]) + SILENT_FRAME * count)
    silent.pts, silent.dts, silent.duration = packet.pts, packet.dts, packet.duration
    silent.time_base = packet.time_base
    return silent
