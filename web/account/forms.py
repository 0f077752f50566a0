"""The forms of log-in and account."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from web.account.passwords import MAX_BYTES


class LogInForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    login = StringField(_l("Log-in"), [InputRequired(_l("Write your log-in.")), Length(max=254)])
    password = PasswordField(
        _l("Password"), [InputRequired(_l("Write your password.")), Length(max=MAX_BYTES)]
    )
    next = HiddenField()


class CodeForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    code = StringField(_l("Code"), [InputRequired(_l("Type the code.")), Length(max=64)])


class AppForm(CodeForm):
    app_key = HiddenField()


class ProfileForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    name = StringField(_l("Name"), [InputRequired(_l("Write your name."))])
    language = SelectField(_l("Language"))


class PasswordForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    current = PasswordField(_l("Current password"), [InputRequired(_l("Write your current password."))])
    password = PasswordField(
        _l("New password"), [InputRequired(_l("Write a new password.")), Length(max=MAX_BYTES)]
    )
