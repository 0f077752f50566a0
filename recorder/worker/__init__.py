"""The process that takes finished calls from the spool to the catalogue, and keeps house."""

from __future__ import annotations

from recorder.worker.main import DEATHS, LANES, Worker, WorkerSettings

__all__ = ["DEATHS", "LANES", "Worker", "WorkerSettings"]
