"""The panel's process, composed from the settings."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from functools import partial

from recorder.clock import utc_now
from recorder.config import Settings
from recorder.errors import CatalogueError, ConfigError
from recorder.features.access_log.verification import EntryProofs
from recorder.features.branding.logo import read_logo
from recorder.features.branding.service import CurrentBranding
from recorder.features.disputes.admissions import DisputeAdmissions
from recorder.features.own_call.admissions import OwnCallAdmissions
from recorder.features.own_call.rules import code_keys
from recorder.features.packs.service import Packs
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.registration import Registration
from recorder.health import Readiness
from recorder.identity.breached_passwords import check_list
from recorder.identity.second_factors import SecondFactorService
from recorder.identity.tenants import rename_provider
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.plans import find_plan
from recorder.processes import object_store
from recorder.processes.admissions import PanelAdmissions
from recorder.processes.checkpoint_witnesses import certificates
from recorder.processes.gate import PanelGate
from recorder.processes.readiness import CatalogueChecks, SecretCheck, check_keyring, check_signing_key
from recorder.processes.services import Context
from recorder.processes.supervisor import heartbeat
from recorder.prompts.country_file import pack_for
from recorder.prompts.sound_sources import Sources, open_sources
from recorder.seal.signing import PANEL_USES, Signer
from recorder.status_server import AllowedClients, serve_in_thread
from recorder.store.ping import StorePing
from web.app import create_app
from web.brand import apply_branding
from web.config import Brand, SupportContact, WebConfig
from web.health import status_source
from web.server import serve
from web.state import PanelState

SHORTEST_CODE = 8
"""Characters of the code with which new customers register."""


def run(context: Context) -> None:
    """Serve the panel until SIGTERM."""
    settings, metrics = context.settings.web, context.settings.metrics
    mail, brand = context.settings.mail, _read_brand(context.settings)
    if settings.breached_passwords is not None:
        check_list(settings.breached_passwords)
    context.open_catalogue()
    store, signer = context.store(), context.panel_signer()
    branding = CurrentBranding(context.trust(), utc_now)
    rename_provider(apply_branding(brand, branding()).name, now=utc_now(), entropy=os.urandom)
    sources, secret = open_sources(context.settings.prompts), SecretCheck(context.web_secret())
    changes = None
    if signer is not None:
        changes = Changes(store, context.root(), signer, revoked=context.revoked())
    packs = None if changes is None else Packs(changes, certificates(context.settings) or b"")
    panel = PanelState(
        WebConfig(
            secret_key=context.web_secret(),
            secure_cookies=settings.secure_cookies,
            address=settings.address,
            idle=timedelta(minutes=settings.session_idle_minutes),
            longest=timedelta(hours=settings.session_hours),
            proxies=settings.proxies,
            proxy_networks=tuple(str(network) for network in settings.proxy_networks),
            backups_kept=timedelta(days=context.settings.keys.backups_kept_days),
            breached_passwords=settings.breached_passwords,
            brand=brand,
            mail_sender=mail.sender if mail.host else "",
        ),
        gate=PanelGate(
            store,
            context.keyring(),
            context.root(),
            revoked=context.revoked(),
            admissions=PanelAdmissions(
                DisputeAdmissions(context.trust()), OwnCallAdmissions(context.trust(), utc_now)
            ),
        ),
        factors=SecondFactorService(
            store, context.keyring(), context.trust(), signer, now=utc_now, entropy=os.urandom
        ),
        changes=changes,
        outbox=context.outbox(),
        sources=sources,
        registration=open_registration(context, signer, sources),
        proofs=EntryProofs(store, context.root()),
        packs=packs,
        number_proofs=open_number_proofs(context, sources),
        call_policy=context.call_policy(),
        branding=branding,
        dial_in=context.dial_in(),
        own_call_keys=code_keys(context.keyring()),
        readiness=Readiness(
            {
                **CatalogueChecks(
                    {
                        "keys": partial(check_keyring, context.keyring(), context.settings.keys_folder),
                        "secret": secret,
                    }
                ).checks(),
                "store": StorePing(object_store.probe(context.settings)),
                "panel_key": partial(check_signing_key, signer, PANEL_USES, context.trust(), utc_now),
            }
        ),
    )
    app = create_app(panel)
    neighbours = AllowedClients(str(network) for network in metrics.allow)
    stop = serve_in_thread(status_source(app, neighbours), metrics.host, metrics.web_port)
    try:
        serve(app, settings.host, settings.port, beat=heartbeat(os.environ))
    finally:
        stop()
        with suppress(CatalogueError):
            secret.release()


def _read_brand(settings: Settings) -> Brand:
    """How the settings present the provider.  Raises :class:`ConfigError` for an unusable logo."""
    brand = settings.brand
    return Brand(
        brand.name,
        read_logo(brand.logo) if brand.logo else None,
        brand.colour,
        brand.colour_dark,
        SupportContact(brand.support_name, brand.support_mail, brand.support_phone),
    )


def open_number_proofs(context: Context, sources: Sources) -> NumberProofs | None:
    """How customers add numbers by the settings; ``None`` where no number can be called."""
    if not (context.settings.verification_calls.dial and context.settings.numbers.offer):
        return None
    return NumberProofs(context.call_policy(), sources, never_record=context.settings.node.never_record)


def open_registration(context: Context, signer: Signer | None, sources: Sources) -> Registration:
    """Who may register, by the settings.  Raises :class:`ConfigError` (``config.invalid``,
    ``tenant.plan``)."""
    settings = context.settings.web
    code = settings.registration_code.get_secret_value()
    if settings.registration == "code" and len(code) < SHORTEST_CODE:
        raise ConfigError(
            "config.invalid",
            "[web] registration_code is missing or too short",
            f'set one of {SHORTEST_CODE} characters or more, or registration = "closed"',
        )
    plan = find_plan(settings.registration_plan).code
    country = pack_for(context.settings.node.region).code
    return Registration(
        context.keyring(), signer, settings.registration, code, plan, sources, country=country
    )
