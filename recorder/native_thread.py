"""Runs work that computes for long, in a thread of the operating system."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def run_in_thread(
    work: Callable[Parameters, Result], *arguments: Parameters.args, **options: Parameters.kwargs
) -> Result:
    """Run work, under gevent in the hub's thread pool: other greenlets go on meanwhile, as far as it releases
    the interpreter. What it raises is printed by gevent, too."""
    from gevent import get_hub
    from gevent.monkey import is_module_patched

    if not is_module_patched("socket"):
        return work(*arguments, **options)
    found: Result = get_hub().threadpool.apply(work, arguments, options)
    return found
