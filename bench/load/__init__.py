"""As many live calls as a switch carries, with all of Accord beside it: see :mod:`bench.load.__main__`."""
