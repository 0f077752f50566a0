"""The panel: people log in, see their calls, and hear them for an announced purpose.

:func:`create_app` makes the Flask application, :func:`serve` runs it in this process.  A folder a
concern: ``account`` (log in and out, language), ``recordings`` (the list of calls), ``playback`` (choose
a purpose, listen).  The panel never opens the store: all sound comes through the gate.
"""

from web.app import create_app
from web.config import WebConfig
from web.server import serve

__all__ = ["WebConfig", "create_app", "serve"]
