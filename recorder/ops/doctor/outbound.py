"""FreeSWITCH: the outbound dialplan, where there is one, enforces both rules by itself."""

from __future__ import annotations

from collections.abc import Iterator

from recorder.domain.line_policy import OFF
from recorder.errors import ConfigError
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong
from recorder.ops.doctor.switch import SAME_ADDRESS, as_findings, loaded_dialplan, same_host
from recorder.spool.snapshot import read_snapshot


def outbound(patient: Patient) -> Iterator[DoctorFinding]:
    """Outbound calls: how the loaded dialplan treats the callee's leg."""
    from recorder.switch import dialplan_lint_outbound

    settings = patient.settings.switch
    loaded = loaded_dialplan(settings)
    lines, ways = _lines(patient), list(dialplan_lint_outbound.callee_setups(loaded))
    if not ways:
        if lines:
            yield wrong(
                f"outbound: {lines} lines record outbound calls, but no context sends these to the daemon",
                "put freeswitch_conf/dialplan/outbound/10_accord.xml into the context of outbound calls, "
                "then reloadxml",
            )
        else:
            yield ok("outbound: no line records outbound calls, and no context sends any here")
        return
    missing = dialplan_lint_outbound.missing_extensions(loaded)
    for name in missing:
        yield wrong(
            f"outbound: the extension {name} is missing",
            "put freeswitch_conf/dialplan/accord_callee.xml beside the switch's dialplan, then reloadxml",
        )
    if missing:
        return
    found = list(as_findings("outbound", dialplan_lint_outbound.callee_faults(loaded)))
    for way in ways:
        found += as_findings("outbound", dialplan_lint_outbound.setup_faults(way, loaded))
    entry = dialplan_lint_outbound.callee_entry(loaded)
    if entry is not None and (settings.listen_host, settings.listen_port) not in {
        (settings.listen_host if same_host(host, settings.listen_host) else host, port)
        for host, port in entry.addresses
    }:
        targets = ", ".join(f"{host}:{port}" for host, port in entry.addresses)
        found.append(
            wrong(
                f"outbound: callees are sent to {targets}, but "
                f"the daemon listens on {settings.listen_host}:{settings.listen_port}",
                SAME_ADDRESS,
            )
        )
    yield from found
    if not found and entry is not None:
        contexts = ", ".join(sorted({way.context for way in ways}))
        yield ok(
            f"outbound: context {contexts} sends callees to this daemon once they have answered, "
            f"and waits {dialplan_lint_outbound.wait_limit(entry)} s for it"
        )


def calling_out(patient: Patient) -> Iterator[DoctorFinding]:
    """Verification calls to people who ask for their recordings."""
    from recorder.switch import commands

    dial = patient.settings.verification_calls.dial
    if not dial:
        yield ok("verification calls: this node makes none ([verification_calls] dial is not set)")
    elif not commands.dialable(dial):
        yield wrong(
            f"verification calls: {dial} does not lead directly to a gateway",
            "set [verification_calls] dial to sofia/gateway/<name>/{number}: loopback would go through the "
            "dialplan",
        )
    else:
        yield ok(f"verification calls: made through {dial}")


def call_budget(patient: Patient) -> Iterator[DoctorFinding]:
    """The verification calls of the last 24 hours, beside the installation's budget."""
    from recorder.verification_calls.policy import count_calls

    if not patient.settings.verification_calls.dial:
        return  # the check before has said so
    patient.context.open_catalogue()
    count, budget = count_calls(patient.now()), patient.settings.verification_calls.calls_a_day
    what = f"call budget: {count} of {budget} verification calls in the last 24 hours"
    if count < budget:
        yield ok(what)
    else:
        hint = (
            "find out who orders them (the customers' access logs), or raise [verification_calls] calls_a_day"
        )
        yield warning(f"{what}: no number is called", hint)


def _lines(patient: Patient) -> int:
    """How many lines of this node record their outbound calls."""
    try:
        lines = read_snapshot(patient.settings.node.snapshot_folder).lines.values()
    except ConfigError:
        return 0
    return sum(line.outbound != OFF for line in lines)
