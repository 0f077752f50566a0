"""Use cases, a folder each: they import the packages below them, and never each other."""
