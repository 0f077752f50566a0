from __future__ import annotations

from tests.unit.playback.conftest import ada, gate, recorded, recording, somebody, stranger

__all__ = ["ada", "gate", "recorded", "recording", "somebody", "stranger"]
