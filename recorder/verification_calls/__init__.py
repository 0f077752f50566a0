"""Verification calls: a number is called and told a code, which shows who answers it."""
