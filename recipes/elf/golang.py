"""What a Go program says about itself: its build information, and the names of the functions linked into it.

Both survive `-ldflags "-s -w"`: the run time needs them. No section name is asked for, since those may be gone.
Source: Go's debug/buildinfo, and runtime/symtab.go for the header of the pclntab.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from recipes.elf.search import is_embedded, occurrences
from recipes.elf.segments import PT_LOAD, Header, Reader

_BUILD_INFO = b"\xff Go buildinf:"
_STRINGS_INLINE = 2
_FRAME = 16
_MOST_INFO_BYTES = 1 << 20
_MOST_NAME_BYTES = 64 << 20
_STUB = b"Binary was compiled with 'CGO_ENABLED=0'"
# Go 1.20 and later, Go 1.18 and 1.19; the header is the same in both.
_PCLNTAB = (0xFFFFFFF1, 0xFFFFFFF0)
# Bytes of the smallest instruction, as debug/gosym takes them: one CPU's has changed from one Go to the next.
_QUANTA = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class GoFacts:
    """`version` is the toolchain's ("go1.27.3"), `path` the main package, `module` the main module (or "").

    `settings` are the build settings, such as CGO_ENABLED, GOAMD64 and -tags. `names` holds the names of all functions,
    each between two NULs; it is empty where they could not be found. `has_cgo_stub`: a package that needs cgo was built
    without, and put an error in the place of its code, as drivers of databases do.
    """

    version: str
    path: str = ""
    module: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    names: bytes = field(default=b"", repr=False)
    has_cgo_stub: bool = False

    def links(self, function: str) -> bool:
        """Whether the function, such as `time.LoadLocation`, is in the program."""
        return b"\0" + function.encode() + b"\0" in self.names

    def links_package(self, package: str) -> bool:
        """Whether any function of the package, such as `time/tzdata`, is in the program."""
        return b"\0" + package.encode() + b"." in self.names


def read_go(reader: Reader, header: Header) -> GoFacts | None:
    """None where the file does not come from the Go toolchain. Never raises for odd content: that is not Go's."""
    found = _find_build_info(reader, header)
    if found is None:
        return None
    version, info = found
    path = module = ""
    settings: dict[str, str] = {}
    for line in info.splitlines():
        kind, _, rest = line.partition("\t")
        if kind == "path":
            path = rest
        elif kind == "mod":
            module = rest.partition("\t")[0]
        elif kind == "build":
            name, _, value = rest.partition("=")
            settings[name] = value.strip('"')
    without_cgo = settings.get("CGO_ENABLED") != "1"
    stubs = occurrences(reader, header, _STUB, 1, writable=False) if without_cgo else ()
    stub = any(not is_embedded(reader, header, at, writable=False) for at in stubs)
    return GoFacts(version, path, module, settings, _find_names(reader, header), stub)


def _find_build_info(reader: Reader, header: Header) -> tuple[str, str] | None:
    """The version and the module information. They stand in writable data, at a multiple of 16."""
    for at in occurrences(reader, header, _BUILD_INFO, 16, writable=True):
        start = reader.read_at(at, 32)
        whole = len(start) == 32 and bool(start[15] & _STRINGS_INLINE)
        if whole and not is_embedded(reader, header, at, writable=True):
            version, after = _inline_string(reader, at + 32)
            info, _ = _inline_string(reader, after)
            if version:
                # The run time finds the information by the random frame around it.
                return version.decode(errors="replace"), info[_FRAME:-_FRAME].decode(errors="replace")
    return None


def _inline_string(reader: Reader, at: int) -> tuple[bytes, int]:
    """A string with its length, a varint, before it; and where the next thing stands."""
    raw = reader.read_at(at, 10)
    length = shift = 0
    for count, byte in enumerate(raw, 1):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if length > _MOST_INFO_BYTES:
                break
            return reader.read_at(at + count, length), at + count + length
    return b"", at


def _find_names(reader: Reader, header: Header) -> bytes:
    """The names of the program's own pclntab: data that it embeds, such as another Go program, can hold one too."""
    others = []
    for table, at, size in _tables(reader, header):
        if _is_pointed_to(reader, header, table):
            return b"\0" + reader.read_at(at, size)
        others.append((at, size))
    if len(others) > 1:
        others = [each for each in others if not is_embedded(reader, header, each[0], writable=False)]
    return b"\0" + reader.read_at(*others[0]) if others else b""


def _is_pointed_to(reader: Reader, header: Header, at: int) -> bool:
    """Whether writable data has the address of a place in the file, as the run time's moduledata has the pclntab's.

    A position-independent program has it in its relocations instead.
    """
    segment = next(each for each in header.segments if each.type == PT_LOAD and 0 <= at - each.offset < each.file_size)
    width = header.bits // 8
    pointer = struct.pack(header.order + ("Q" if width == 8 else "I"), segment.address + at - segment.offset)
    return any(True for _ in occurrences(reader, header, pointer, width, writable=True))


def _tables(reader: Reader, header: Header) -> Iterator[tuple[int, int, int]]:
    """Of everything that looks like a pclntab: where it stands, where its names do, and their size."""
    form = header.order + ("8Q" if header.bits == 64 else "8I")
    size = 8 + struct.calcsize(form)
    for magic in _PCLNTAB:
        start = struct.pack(header.order + "I", magic) + b"\0\0"
        for at in occurrences(reader, header, start, 4, writable=False):
            raw = reader.read_at(at, size)
            if len(raw) < size or raw[6] not in _QUANTA or raw[7] != header.bits // 8:
                continue
            functions, _, _, names, units, *_ = struct.unpack_from(form, raw, 8)
            if 0 < functions < 1 << 26 and 0 < names < units and units - names <= _MOST_NAME_BYTES:
                yield at, at + names, units - names
