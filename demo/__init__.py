"""What ``make run`` shows: an installation in ``./.accord``, and calls through the real path.

No part of what is installed on a switch's machine."""
