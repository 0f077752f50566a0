"""The operations on a customer's people, with the panel's key, clock and mail."""

from __future__ import annotations

from recorder.features.team.account_links import AccountLinks
from recorder.features.team.invitations import Invitations
from recorder.seal.amendment import By
from web.state import changes, current_visitor, panel_state


def invitations() -> Invitations:
    """Invitations, signed by the panel."""
    state, signing = panel_state(), changes()
    return Invitations(signing.signer, signing.trust, state.outbox, state.now, state.entropy)


def account_links() -> AccountLinks:
    """Links to set a password or confirm an address, redeemed by the panel."""
    state, signing = panel_state(), changes()
    return AccountLinks(
        state.config.secret_key, signing.signer, signing.trust, state.outbox, state.now, state.entropy
    )


def visitor_as_author() -> By:
    """The visitor as the author of a change."""
    return By("user", current_visitor().user.id)
