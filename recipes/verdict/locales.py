"""Rules for locales and conversions of text, which glibc reads from files. musl knows UTF-8 alone, and needs none."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from recipes.elf.markers import LOCALE_SETTERS
from recipes.errors import BadInput
from recipes.verdict.subject import Evidence, Root, Subject

_FOLDER = "/usr/lib/locale"
_ARCHIVE = f"{_FOLDER}/locale-archive"
_ARCHIVE_MAGIC = 0xDE020109
_MOST_NAME_BYTES = 1 << 20
_PARTS = re.compile(r"(?P<place>C|[a-z]{2,3}(?:_[A-Z]{2})?)(?:\.(?P<codeset>[\w-]+))?(?:@\w+)?")
_MULTIARCH = re.compile(r"[\w-]+-linux-gnu\w*")


def named_locale(subject: Subject) -> Evidence | None:
    program = subject.traits
    call = program.imports("_ZNSt6localeC1EPKc", "_ZNSt6localeC2EPKc")
    if not (call or "named-locale" in program.strings) or subject.has_entries(_FOLDER):
        return None
    evidence = "it calls std::locale(name)" if call else "the string 'locale::locale null not valid'"
    return Evidence(f"{evidence}, and no locales in the image", "locale::facet::_S_create_c_locale name not valid")


def c_locale(subject: Subject) -> Evidence | None:
    """`setlocale(LC_ALL, "")` takes the locale that the image's variables name; some programs name UTF-8 ones too.

    That a program calls it says nothing by itself: nearly all do. Source: glibc, locale/setlocale.c; setlocale(3).
    """
    program = subject.traits
    call = program.imports(*LOCALE_SETTERS)
    if subject.is_musl or program.go or not (call or program.libc == "glibc"):
        return None
    variable = next((name for name in ("LC_ALL", "LC_CTYPE", "LANG") if subject.env.get(name)), "")
    wanted = subject.env.get(variable, "")
    if call and wanted and not _has_locale(subject, wanted):
        message = f"no error: {call} returns NULL, and text beyond ASCII is not known as such"
        return Evidence(f"{variable}={wanted} and a call of {call}, and no such locale in the image", message)
    names = sorted(program.locales, key="C.UTF-8".__ne__)  # first the one that images get
    if not names or any(_has_locale(subject, name) for name in (*names, *([wanted] if _is_utf8(wanted) else []))):
        return None
    evidence = f"it names the locale {' or '.join(names[:3])}, which the image lacks"
    return Evidence(evidence, "no error of glibc's: setlocale returns NULL, and the locale is C", sure=False)


def _is_utf8(name: str) -> bool:
    return name.lower().endswith((".utf-8", ".utf8"))


def _has_locale(subject: Subject, name: str) -> bool:
    """Whether glibc finds a locale; a name that is not like any locale's counts as found, as it may be an alias."""
    parts = _PARTS.fullmatch(name)
    if name == "POSIX" or parts is None or (parts["place"] == "C" and not parts["codeset"]):
        return True
    # glibc takes away parts of the name until there is such a folder, and writes utf8 for UTF-8.
    place, codeset = parts["place"], parts["codeset"] or ""
    normal = re.sub(r"\W", "", codeset).lower()
    known = {name, place, place.partition("_")[0]} | {f"{place}.{each}" for each in (codeset, normal) if each}
    if place == "C":
        known.discard("C")
    path = subject.env.get("LOCPATH", "")
    folders = (*(folder for folder in path.split(":") if folder), _FOLDER)
    if any(subject.root.is_folder(f"{folder}/{each}") for folder in folders for each in known):
        return True
    return not path and not known.isdisjoint(_archived(subject.root))


def _archived(root: Root) -> Iterator[str]:
    """The names in glibc's archive of locales. Source: glibc, locale/locarchive.h."""
    try:
        reader = root.reader(_ARCHIVE)
        start = reader.read_at(0, 28)
        for order in "<>":
            if len(start) == 28 and struct.unpack_from(f"{order}I", start)[0] == _ARCHIVE_MAGIC:
                offset, used = struct.unpack_from(f"{order}II", start, 20)
                yield from reader.read_at(offset, min(used, _MOST_NAME_BYTES)).decode(errors="replace").split("\0")
    except BadInput:
        return


def iconv_modules(subject: Subject) -> Evidence | None:
    """glibc converts between UTF-8, UCS-2, UCS-4 and ASCII by itself, and loads a module for each other code."""
    if subject.is_musl or subject.traits.is_static or has_converters(subject):
        return None
    call = subject.traits.imports("iconv_open")
    evidence = f"it calls {call}" if call else subject.library_calls("iconv_open")
    message = "iconv_open: Invalid argument"
    return Evidence(f"{evidence}, and no gconv folder in the image", message, sure=False) if evidence else None


def has_converters(subject: Subject) -> bool:
    libraries = ("/usr/lib", "/usr/lib64", "/usr/lib32")
    triplets = (f"/usr/lib/{name}" for name in subject.root.names("/usr/lib") if _MULTIARCH.fullmatch(name))
    return subject.has_entries(*(f"{folder}/gconv" for folder in (*libraries, *triplets)))
