"""The errors that people can correct, as tests expect them: by their ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from recorder.errors import AccordError

Error = TypeVar("Error", bound=AccordError)


def expect_error(kind: type[Error], error_id: str) -> pytest.RaisesExc[Error]:
    """As ``pytest.raises``, for an error of a kind with an id."""

    def check(error: Error) -> bool:
        assert error.error_id == error_id, repr(error)
        return True

    return pytest.raises(kind, check=check)


def error_of(call: Callable[[], object]) -> str:
    """The id of the error that a call raises."""
    with pytest.raises(AccordError) as failure:
        call()
    return failure.value.error_id
