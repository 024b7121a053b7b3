"""What each test of this folder has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recipes.support import console


@pytest.fixture(autouse=True)
def commands_are_shown() -> Iterator[None]:
    """Which commands were run is what these tests ask, and stderr says it to those who want to see them."""
    with console.saying(verbose=True):
        yield
