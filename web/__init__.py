"""The panel: users log in, see their calls, and listen to them for an announced purpose.

:func:`create_app` makes the Flask application, :func:`serve` runs it in this process.  Each page has a folder
with its views and templates; ``text/`` turns codes into sentences, in four languages.  The panel never opens
the store: all audio comes through the gate.
"""

from web.app import create_app
from web.config import WebConfig
from web.server import serve

__all__ = ["WebConfig", "create_app", "serve"]
