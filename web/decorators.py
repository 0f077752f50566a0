"""Decorators that restrict views to certain roles."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import wraps
from typing import cast

from flask import abort, request
from flask.typing import ResponseReturnValue

from recorder.domain.roles import ADMIN
from recorder.errors import RetentionError, SubjectRequestError, VerificationCallError
from web.errors import error_page
from web.state import View, current_plan, current_visitor
from web.text import errors, plans


def in_plan(feature: str) -> Callable[[View], View]:
    """Decorates views of a feature that the visitor's plan must have."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(*args: object, **view_args: object) -> object:
            if feature not in current_plan().features:
                return error_page(403, plans.not_in_plan())
            return view(*args, **view_args)

        return cast(View, guarded)

    return guard


Refusal = RetentionError | SubjectRequestError | VerificationCallError
"""What a step of retention or of a subject request raises."""

NOT_FOUND = frozenset({"subject_request.not_found", "subject_request.not_theirs"})
"""Refusals by which nobody learns whether such an object exists."""


def admins_only(
    back: Callable[[Mapping[str, object]], str],
    roles: Container[str] = (ADMIN,),
    again: Callable[
        [Refusal, Mapping[str, object]], ResponseReturnValue | None
    ] = lambda _error, _view_args: None,
) -> Callable[[View], View]:
    """Decorates views for users with one of ``roles``, by default the customer's admins.  Operations that are
    refused (``Refusal``) show the page of their form ``again``,
    with the reason beside it, or else an error page with a link to ``back``; both get the view's
    arguments."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(*args: object, **view_args: object) -> object:
            if current_visitor().user.role not in roles:
                abort(403)
            try:
                return view(*args, **view_args)
            except (RetentionError, SubjectRequestError, VerificationCallError) as error:
                if error.error_id in NOT_FOUND:
                    abort(404)
                response = again(error, view_args) if again is not None and request.method == "POST" else None
                return response or error_page(403, errors.error(error.error_id), back=back(view_args))

        return cast(View, guarded)

    return guard
