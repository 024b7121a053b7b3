"""Our rules against the real loaders: every ELF program of this machine in roots with other libraries than its own.

No program runs its own code: glibc's loader only lists (LD_TRACE_LOADED_OBJECTS with LD_BIND_NOW), so does musl's
(--list). A share of the programs is asked about in a few roots. With FROMSCRATCH_ORACLE_ALL=1 it is all of them, in all
roots, with several environments: about five minutes, and some more to assemble the roots. test_starts.py goes further.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recipes.model import Platform
from tests.fixtures_debian import Assembled
from tests.need import need
from tests.oracle.compare import differences, programs
from tests.oracle.roots import ALL, ROOTS, root

_FOLDERS = [Path(folder) for folder in ("/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/lib")]
_SHARE = ("cc", "musl", "bullseye-cc", "trixie-cc")
_LIBRARIES = "/mnt/usr/lib/x86_64-linux-gnu"
# musl is not asked about libraries that were built for glibc: how it fails there is told in musl.py.
_ENVIRONMENTS = (
    {"LD_LIBRARY_PATH": f"/nowhere:{_LIBRARIES}::{_LIBRARIES}/"},
    {"LD_LIBRARY_PATH": "$ORIGIN/../lib/x86_64-linux-gnu;/mnt/usr/$LIB;${PLATFORM}"},
    {"LD_PRELOAD": f"libm.so.6:libnothere.so {_LIBRARIES}/libz.so.1 libutil.so.1"},
)


@pytest.fixture(scope="module")
def asked() -> list[Path]:
    need(Platform.host().architecture == "amd64", "an x86-64 machine")
    found = list(programs(_FOLDERS if ALL else _FOLDERS[:2]))
    return found if ALL else found[::4]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["/", "deb-slim", *(ROOTS if ALL else _SHARE)])
def test_rules_and_loader_agree(
    name: str, asked: list[Path], assembled: Assembled, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same paths, same missing libraries, same version and symbol errors, for every program in every root."""
    folder = Path("/") if name == "/" else assembled.root(name) if name not in ROOTS else root(name)
    environments = ({}, *_ENVIRONMENTS) if ALL and not name.endswith("musl") else ({},)
    count, wrong = 0, []
    for env in environments:
        compared, found = differences(folder, _FOLDERS, asked, env=env)
        count += compared
        wrong += found
    with capsys.disabled():
        sys.stderr.write(f"\n{name}: {count} pairs, {len(wrong)} disagreements")
    assert count > 50
    assert not wrong, "\n".join(wrong[:20])
