"""Views that ask for a recent log-in: a browser that was left open must not be enough to change how somebody
logs in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import TypeVar, cast

from flask import redirect, request, url_for

from web.state import current_visitor, login_required, now

LASTS = timedelta(minutes=15)
"""How long a log-in counts as recent."""

View = TypeVar("View", bound=Callable[..., object])


def fresh_login_required(view: View) -> View:
    """Decorates views for users who logged in recently; others log in again, and return to their account."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        if now() - current_visitor().session.created_at > LASTS:
            target = request.path if request.method == "GET" else url_for("account.show")
            return redirect(url_for("account.log_in", again=1, next=target), 303)
        return view(*args, **kwargs)

    return cast(View, login_required(guarded))
