"""The checks of `accord doctor`, in their order."""

from __future__ import annotations

from collections.abc import Iterator

from recorder.ops.doctor import machine, node, older_keys, outbound, routes, storage, switch
from recorder.ops.doctor.findings import Check, DoctorFinding, Patient, examine

CHECKS: tuple[Check, ...] = (
    storage.catalogue,
    storage.keys,
    storage.key_copies,
    storage.customer_keys,
    older_keys.older_keys,
    storage.lines,
    storage.customer_plans,
    storage.store,
    storage.embedded_store,
    storage.logs,
    node.spool,
    node.disk,
    node.takes,
    node.snapshot,
    switch.switch,
    switch.event_socket,
    switch.key,
    switch.dialplan,
    switch.guards,
    outbound.outbound,
    routes.routes,
    outbound.calling_out,
    switch.recording,
    machine.daemon,
    machine.worker,
    machine.panel,
    machine.mail,
    machine.breached_passwords,
    machine.clock,
    machine.versions,
)


def look(patient: Patient) -> Iterator[tuple[str, DoctorFinding]]:
    """Run every check; yield each finding with its check's name, as it is made."""
    for check in CHECKS:
        for finding in examine(check, patient):
            yield check.__name__, finding
