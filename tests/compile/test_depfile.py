from __future__ import annotations

import pytest

from recipes.compile.depfile import parse


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"object: a.cpp\n", (b"a.cpp",)),
        (b"object: a.cpp \\\n /usr/include/x.h \\\n  y.h\n", (b"a.cpp", b"/usr/include/x.h", b"y.h")),
        (b"object: a.cpp \\\r\n y.h\r\n", (b"a.cpp", b"y.h")),
        (rb"object: we\ ird.h a$$b.h c\#d.h t:c.h", (b"we ird.h", b"a$b.h", b"c#d.h", b"t:c.h")),
        (rb"object: back\slash.h two\\\ words.h", (rb"back\slash.h", rb"two\ words.h")),
        (b"object: a.h b.h a.h", (b"a.h", b"b.h")),
        (b"object:", ()),
        (b"", ()),
        (b"object: \xff\xfe.h", (b"\xff\xfe.h",)),
    ],
)
def test_the_forms_that_compilers_write(text: bytes, names: tuple[bytes, ...]) -> None:
    """Line ends, blanks, dollars, hashes, colons and backslashes as gcc and clang write them."""
    assert parse(text) == names
