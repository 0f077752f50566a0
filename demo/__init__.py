"""The demo of ``make run``: an installation in ``./.accord``, and calls through the real path.

Not part of what is installed on a switch's machine.
"""
