"""Debian's patches, taken out of the copy of a source package again. Source: dpkg-source(1), "Format: 3.0 (quilt)".

Some count on what debian/rules does beside the project's own build. Those that fix a vulnerability do not, and stay.
"""

from __future__ import annotations

from pathlib import Path

from recipes.compile.naming import fixes_of, patches_of

_SCRIPT = """\
time=$1 direction=--reverse
shift
for patch; do
    [ "$patch" != -- ] || { direction=--forward; continue; }
    patch --strip=1 --force --quiet --no-backup-if-mismatch "$direction" --input="$patch" || exit
done
find . ! -type l -exec touch --date="@$time" {} +
"""
"""All are taken out, the last one first, and the fixes put in again. What that has touched is no newer than the rest,
which `make` would build again for it."""


def out(folder: Path, time: int) -> tuple[str, ...]:
    """The command for the copy of the source package `folder`, whose files all have this time."""
    every, fixes = (tuple(f"./{path.relative_to(folder)}" for path in of(folder)) for of in (patches_of, fixes_of))
    return ("sh", "-c", _SCRIPT, "patches", str(time), *reversed(every), "--", *fixes)
