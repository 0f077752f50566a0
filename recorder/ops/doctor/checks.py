"""The checks of `accord doctor`, in their order, and what each needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from recorder.ops.doctor import key_files, machine, node, older_keys, outbound, rooms, routes, storage, switch
from recorder.ops.doctor.findings import Check, DoctorFinding, Patient, examine, skip, title

CHECKS: Final[tuple[Check, ...]] = (
    storage.catalogue,
    key_files.node_key_files,
    storage.keys,
    storage.store,
    storage.embedded_store,
    storage.key_copies,
    storage.customer_keys,
    key_files.shared_keys,
    older_keys.older_keys,
    storage.lines,
    storage.customer_plans,
    storage.logs,
    storage.log_lock,
    node.spool,
    node.disk,
    switch.switch,
    switch.event_socket,
    switch.dialplan,
    switch.guards,
    outbound.outbound,
    routes.routes,
    routes.recordings,
    outbound.calling_out,
    outbound.call_budget,
    rooms.dial_in,
    rooms.dial_in_budget,
    rooms.room_sounds,
    rooms.room_nodes,
    machine.daemon,
    machine.worker,
    machine.panel,
    node.takes,
    node.snapshot,
    node.snapshot_age,
    switch.key,
    switch.recording,
    machine.readiness,
    machine.mail,
    machine.waiting_mail,
    machine.breached_passwords,
    machine.clock,
    machine.versions,
)

PANEL_CHECKS: Final[tuple[Check, ...]] = (
    storage.catalogue,
    key_files.panel_key_files,
    storage.panel_key,
    storage.store,
    storage.customer_keys,
    key_files.shared_keys,
    storage.customer_plans,
    machine.panel,
    machine.panel_readiness,
    machine.mail,
    machine.breached_passwords,
    machine.clock,
    machine.versions,
)
"""The checks of a machine that runs the panel alone."""

NEEDS: Final[Mapping[Check, tuple[Check, ...]]] = {
    storage.keys: (key_files.node_key_files,),
    storage.panel_key: (key_files.panel_key_files,),
    storage.key_copies: (storage.keys,),
    storage.customer_keys: (storage.catalogue, storage.keys, storage.panel_key),
    key_files.shared_keys: (storage.catalogue, storage.keys, storage.panel_key),
    older_keys.older_keys: (storage.catalogue, storage.keys, storage.store),
    storage.lines: (storage.catalogue,),
    storage.customer_plans: (storage.catalogue,),
    storage.logs: (storage.catalogue,),
    storage.log_lock: (storage.store,),
    node.disk: (node.spool,),
    node.takes: (node.spool, storage.catalogue),
    node.snapshot_age: (storage.catalogue, node.snapshot),
    switch.event_socket: (switch.switch,),
    switch.key: (switch.switch,),
    switch.dialplan: (switch.switch,),
    switch.guards: (switch.switch, switch.dialplan),
    outbound.outbound: (switch.switch, switch.dialplan),
    routes.routes: (switch.switch, switch.dialplan),
    routes.recordings: (switch.switch, switch.dialplan),
    outbound.call_budget: (storage.catalogue,),
    rooms.dial_in: (switch.switch, switch.dialplan),
    rooms.dial_in_budget: (storage.catalogue,),
    rooms.room_sounds: (node.spool, switch.switch),
    rooms.room_nodes: (storage.catalogue,),
    switch.recording: (node.spool, switch.switch),
    machine.waiting_mail: (storage.catalogue,),
}
"""The checks that must have come to their end before another one can say anything."""


def look(patient: Patient, checks: Sequence[Check] = CHECKS) -> Iterator[tuple[str, DoctorFinding]]:
    """Run every check; yield each finding with its check's name, as it is made."""
    for check in checks:
        cause = next((each for each in NEEDS.get(check, ()) if each.__name__ in patient.failures), None)
        if cause is not None:
            patient.failures.add(check.__name__)
            yield check.__name__, skip(check, f"the check of {title(cause)} failed")
            continue
        for finding in examine(check, patient):
            yield check.__name__, finding
