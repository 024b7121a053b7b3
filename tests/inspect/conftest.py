"""What the tests of this room share."""

from __future__ import annotations

from tests.inspect.compilers import compilers

__all__ = ["compilers"]
