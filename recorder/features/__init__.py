"""Use cases, one folder each; they import the packages below them, and never each other. In a folder:
``service.py`` (operations), ``rules.py`` (rules without I/O), ``queries.py`` (its tables), ``duty.py`` (the
worker's part); further modules are named after what they contain."""
