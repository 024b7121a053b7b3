"""Tests of recipes/rootfs/root.py and what stands behind it: layers, their index, and folders of this machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from recipes.errors import BadArchive, BadInput
from recipes.rootfs.root import Entry, LayerSource, RootFs
from recipes.support.file_cache import FileCache
from tests.rootfs.test_tarindex import info, pack

Members = list[tuple[tarfile.TarInfo, bytes]]


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return info(name, mode=0o644), content


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, tarfile.DIRTYPE, mode=mode), b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, kind, linkname=target, mode=0o777), b""


def hard(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return link(name, target, tarfile.LNKTYPE)


def source(tar: bytes, opened: list[str] | None = None) -> LayerSource:
    diff_id = f"sha256:{hashlib.sha256(tar).hexdigest()}"

    def open_() -> IO[bytes]:
        if opened is not None:
            opened.append(diff_id)
        return io.BytesIO(tar)

    return LayerSource(diff_id, open_)


def root(*layers: Members, cache: FileCache | None = None) -> RootFs:
    return RootFs.from_layers([source(pack(*members)) for members in layers], cache)


def names(root: RootFs) -> list[str]:
    return [path for path, _ in root.entries()]


# ── layers on layers ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_scratch_is_empty() -> None:
    """No layers: a root folder and nothing in it."""
    assert names(RootFs.from_layers(())) == []
    assert RootFs.from_layers(()).is_folder("/")
    assert RootFs.from_layers(()).resolve("/bin") is None


def test_entries_come_with_folders_first_and_sorted() -> None:
    """However names are written (./, slashes at the ends, absolute), and whatever folders are left out."""
    found = root([file("./usr/lib/b"), file("/etc/passwd"), folder("usr/", 0o700), file("usr/lib/a"), file("usr-x")])
    assert names(found) == ["/etc", "/etc/passwd", "/usr", "/usr/lib", "/usr/lib/a", "/usr/lib/b", "/usr-x"]
    assert found.mode("/usr") == 0o700
    assert found.mode("/usr/lib") == 0o755
    assert found.names("/usr") == ("lib",)
    assert found.names("/") == ("etc", "usr", "usr-x")
    assert found.names("/etc/passwd") == ()


def test_the_last_one_wins() -> None:
    """In one layer and across layers; a folder over a folder keeps what is in it, anything else replaces all."""
    found = root(
        [file("a", b"1"), file("a", b"22"), folder("dir"), file("dir/kept"), file("gone/below"), link("l", "dir")],
        [file("a", b"333"), folder("dir", 0o700), file("gone"), folder("l")],
    )
    assert found.read("/a") == b"333"
    assert found.exists("/dir/kept")
    assert found.mode("/dir") == 0o700
    assert found.lookup("/gone") == found.stat("/gone")
    assert not found.exists("/gone/below")
    assert found.names("/l") == ()


def test_whiteouts_reach_lower_layers_only() -> None:
    """A whiteout removes a file, a folder or a link of a lower layer, never what its own layer has, in either order."""
    lower = [file("dir/a"), file("dir/b"), file("tree/deep/file"), link("link", "dir"), file("same")]
    for upper in (
        [file("dir/.wh.a"), file(".wh.tree"), file(".wh.link"), file("same", b"new"), file(".wh.same")],
        [file(".wh.same"), file("same", b"new"), file(".wh.link"), file(".wh.tree"), file("dir/.wh.a")],
    ):
        found = root(lower, upper)
        assert names(found) == ["/dir", "/dir/b", "/same"]
        assert found.read("/same") == b"new"
        assert found.skipped == ()
    # A folder that is made anew beside its whiteout has nothing of the old one.
    for upper in ([file(".wh.tree"), file("tree/new")], [file("tree/new"), file(".wh.tree")]):
        assert names(root(lower, upper))[-2:] == ["/tree", "/tree/new"]


def test_opaque_folders() -> None:
    """All that lower layers have beneath is gone, at any depth; what the own layer has stays, in either order."""
    lower = [file("dir/old"), file("dir/sub/old"), file("other/old")]
    marker, new = file("dir/.wh..wh..opq"), file("dir/sub/new")
    for upper in ([marker, new], [new, marker]):
        assert names(root(lower, upper)) == ["/dir", "/dir/sub", "/dir/sub/new", "/other", "/other/old"]
    assert names(root(lower, [marker], [file("dir/later")]))[:2] == ["/dir", "/dir/later"]
    assert names(root([new, marker])) == ["/dir", "/dir/sub", "/dir/sub/new"]


def test_whiteouts_of_nothing_and_reserved_names() -> None:
    """They only imply their folder; names that could be meant for the folder itself or its parent are left out."""
    odd = [file(".wh.none"), file("no/.wh.x"), file("a/.wh."), file("a/.wh.."), file("a/.wh..."), file(".wh..wh.plnk")]
    found = root([file("a/b"), file("c")], odd)
    assert names(found) == ["/a", "/a/b", "/c", "/no"]
    assert {item.name for item in found.skipped} == {"a/.wh.", "a/.wh..", "a/.wh...", ".wh..wh.plnk"}


def test_a_whiteout_spares_a_hard_link_of_its_own_layer() -> None:
    """Both names are the upper layer's."""
    found = root([file("a", b"old")], [file("a", b"content"), hard("b", "a"), file(".wh.a"), file(".wh.b")])
    assert names(found) == ["/a", "/b"]
    assert found.read("/b") == b"content"


def test_hard_links() -> None:
    """To a file or a link that its layer has before it; replacing one name leaves the other as it was."""
    found = root(
        [file("bin/a", b"first"), hard("b", "bin/a"), link("s", "bin/a"), hard("t", "./s"), link("bin2", "bin"),
         hard("c", "/bin2/a")],
        [file("bin/a", b"second")],
    )  # fmt: skip
    assert found.read("/b") == found.read("/c") == b"first"
    assert found.read("/bin/a") == b"second"
    assert found.lookup("/b") == found.lookup("/c")
    assert found.lookup("/t") == found.lookup("/s")
    broken = root([hard("a", "later"), file("later"), folder("d"), hard("b", "d"), hard("c", "c"), hard("e", "../x")])
    assert names(broken) == ["/d", "/later"]
    assert len(broken.skipped) == 4
    assert names(root([file("a")], [hard("b", "a")])) == ["/a"]  # what engines refuse to unpack


def test_a_hard_link_gives_its_file_the_mode_and_the_owner_of_its_own_header() -> None:
    """As engines apply the header of every member to the file that it names."""
    again = info("b", tarfile.LNKTYPE, linkname="a", mode=0o750, uid=5, gid=6)
    found = root([file("a", b"content"), (again, b"")])
    for path in ("/a", "/b"):
        entry = found.stat(path)
        assert entry is not None
        assert (entry.mode, entry.uid, entry.gid, entry.size) == (0o750, 5, 6, 7)


def test_members_behind_links_stay_inside() -> None:
    """A member beneath a link of its own layer goes where that leads inside the root, as engines have it."""
    links = [link("lib", "usr/lib"), link("abs", "/usr/lib"), link("up", "../../../usr/lib")]
    found = root(
        [folder("usr/lib"), *links, file("lib/a"), file("abs/b"), file("up/c"), link("etc", "/../../gone/etc"),
         file("etc/d")],
    )  # fmt: skip
    assert found.names("/usr/lib") == ("a", "b", "c")
    assert found.resolve("/etc/d") == "/gone/etc/d"


def test_a_link_of_a_lower_layer_is_not_followed() -> None:
    """What a layer has beneath it is in a folder of its own, as overlayfs shows it, and the link is gone."""
    lower = [file("usr/bin/sh"), link("bin", "usr/bin"), file("etc")]
    found = root(lower, [file("bin/app")])
    assert (found.names("/bin"), found.names("/usr/bin")) == (("app",), ("sh",))
    hidden = root(lower, [file("bin/.wh.sh"), file("etc/passwd")])
    assert (hidden.names("/bin"), hidden.names("/usr/bin"), hidden.names("/etc")) == ((), ("sh",), ("passwd",))


# ── what hostile layers try ──────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_escapes() -> None:
    """`..` in names is left out and recorded; links that lead above the root end at the root."""
    found = root([file("../evil"), file("a/../../evil"), link("out", "../../../../etc"), file("etc/passwd", b"inside")])
    assert names(found) == ["/etc", "/etc/passwd", "/out"]
    assert [item.name for item in found.skipped] == ["../evil", "a/../../evil"]
    assert found.read("/out/passwd") == b"inside"
    assert found.resolve("/../../out/../etc/./passwd") == "/etc/passwd"


def test_what_cannot_be_placed_is_recorded() -> None:
    """Beneath a file or a link without end, under names that are too long, of types that nobody unpacks."""
    found = root(
        [
            file("f"),
            file("f/below"),
            link("x", "y"),
            link("y", "x"),
            file("x/below"),
            file("n" * 256),
            file("p/" * 2100),
            (info("odd", b"Z"), b""),
            file("."),
            link("long", "t/" * 2100),
        ]
    )
    assert names(found) == ["/f", "/x", "/y"]
    assert len(found.skipped) == 7


def test_links_without_end_lead_nowhere() -> None:
    """Loops, and more than 40 links in a row; exactly 40 are followed."""
    chain = [link(f"l{number}", f"l{number + 1}") for number in range(41)]
    found = root([link("self", "self"), link("a", "b"), link("b", "/a/"), file("l41"), *chain, link("empty", "l1")])
    assert found.resolve("/self") is None
    assert found.resolve("/a") is None
    assert found.resolve("/self", follow=False) == "/self"
    assert found.resolve("/l1") == "/l41"
    assert found.resolve("/l0") is None
    assert found.stat("/l0") is None
    assert found.exists("/l40")


def test_deep_and_wide_layers_take_bounded_time() -> None:
    """A path of 2,000 folders, links to it used again and again, and whiteouts that are told a thousand times."""
    deep = "/".join(["d"] * 2000)
    members = [file(f"{deep}/f"), link("l", deep), *(file(f"l/{number}") for number in range(200))]
    found = root(members, [file("d/.wh.d") for _ in range(1000)])
    assert names(found) == ["/d", "/l"]


def test_truncated_layers_are_errors() -> None:
    """A tar that was cut in its middle, and bytes that are no tar."""
    tar = pack(file("a", b"x" * 5000))
    for data in (tar[:3000], tar[:700], b"hello" * 1000):
        with pytest.raises(BadArchive):
            RootFs.from_layers([source(data)])


def test_a_layer_is_what_its_digest_says(tmp_path: Path) -> None:
    """Other content under a digest is refused, and nothing of it stays in the cache."""
    wrong = LayerSource("sha256:" + "0" * 64, lambda: io.BytesIO(pack(file("a"))))
    for cache in (None, FileCache(tmp_path)):
        with pytest.raises(BadArchive, match="does not match that digest"):
            RootFs.from_layers([wrong], cache)
    assert list(tmp_path.iterdir()) == []


def test_broken_compression_is_our_own_error() -> None:
    """What the stream raises half-way becomes BadArchive."""
    packed = gzip.compress(os.urandom(100_000))
    for data in (packed[:5000], packed[:500] + b"\xff" * 500):
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream, pytest.raises(BadArchive):
            RootFs.from_layers([LayerSource("any", lambda stream=stream: stream)])  # type: ignore[misc]


def test_sparse_members_are_there_but_cannot_be_read() -> None:
    """Reading one is BadArchive; asking for its size is fine."""
    version = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    header = info("sparse", b"0", pax_headers=version | {"GNU.sparse.realsize": "1000000"})
    found = root([(header, b"x" * 512)])
    assert found.stat("/sparse") == Entry("file", 0o644, size=1000000, inode=1)
    with pytest.raises(BadArchive, match="sparse"):
        found.read("/sparse")


# ── contents and cache ───────────────────────────────────────────────────────────────────────────────────────────────


def test_reading() -> None:
    """Whole, from the middle, past the end; by a reader, into a file, in pieces."""
    content = bytes(range(256)) * 10000
    found = root([file("data", content), file("after", b"after"), link("l", "data")])
    assert found.read("/l") == content
    assert found.read("/data", 100, 5) == content[100:105]
    assert found.read("/data", len(content) - 3, 100) == content[-3:]
    assert found.read("/data", len(content) + 5, 100) == b""
    reader = found.reader("/data")
    assert reader.size == len(content)
    assert reader.read_at(0, 1 << 60) == content
    out = io.BytesIO()
    found.copy_file("/data", out)
    assert out.getvalue() == content
    for path in ("/none", "/", "/after/x"):
        with pytest.raises(BadInput):
            found.read(path)


def test_the_index_is_made_once(tmp_path: Path) -> None:
    """The second time no layer is opened, not even to read a file; a root that shares a layer opens only its own."""
    first, second = pack(file("a", b"1")), pack(file("b", b"2"))
    opened: list[str] = []
    sources = [source(first, opened), source(second, opened)]
    again = [RootFs.from_layers(sources[:1], FileCache(tmp_path)) for _ in range(3)][-1]
    assert again.read("/a") == b"1"
    assert len(opened) == 1
    both = RootFs.from_layers(sources, FileCache(tmp_path))
    assert both.read("/a") + both.read("/b") == b"12"
    assert len(opened) == 2
    assert names(RootFs.from_layers(sources[::-1], FileCache(tmp_path))) == ["/a", "/b"]


def test_a_broken_cache_is_made_anew(tmp_path: Path) -> None:
    """An index with a changed bit or a missing end is not believed; a tar that is gone comes from its source again."""
    opened: list[str] = []
    layer = source(pack(file("a", b"content")), opened)
    expected = list(RootFs.from_layers([layer], FileCache(tmp_path)).entries())
    (index,) = tmp_path.glob("*.index")
    (tar,) = tmp_path.glob("*.tar")
    data = index.read_bytes()
    for changed in (data[:-1], data[:50] + bytes([data[50] ^ 1]) + data[51:], b"", data[:10]):
        index.write_bytes(changed)
        assert list(RootFs.from_layers([layer], FileCache(tmp_path)).entries()) == expected
        assert index.read_bytes() == data
    assert len(opened) == 1
    tar.unlink()
    assert RootFs.from_layers([layer], FileCache(tmp_path)).read("/a") == b"content"
    tar.write_bytes(b"short")
    assert RootFs.from_layers([layer], FileCache(tmp_path)).read("/a") == b"content"
    assert {path.name for path in tmp_path.iterdir()} == {index.name, tar.name}


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """Its folder is a file: the root is read all the same, each time anew."""
    (tmp_path / "file").write_bytes(b"")
    opened: list[str] = []
    layer = source(pack(file("a", b"content")), opened)
    for times in (1, 2):
        assert RootFs.from_layers([layer], FileCache(tmp_path / "file/cache")).read("/a") == b"content"
        assert len(opened) == times


# ── folders of this machine ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def host_folder(tmp_path: Path) -> Path:
    inside = tmp_path / "root"
    (inside / "usr/lib").mkdir(parents=True)
    (inside / "usr/lib/data").write_bytes(b"content")
    (inside / "lib").symlink_to("/usr/lib")
    (inside / "out").symlink_to(tmp_path / "secret")
    (inside / "up").symlink_to("../../secret")
    (inside / os.fsdecode(b"caf\xe9")).write_bytes(b"")
    os.mkfifo(inside / "fifo")
    (tmp_path / "secret").write_bytes(b"of this machine")
    return inside


def test_a_folder_as_a_root(host_folder: Path) -> None:
    """Links are resolved inside it, so the host's own files are out of reach."""
    found = RootFs.from_directory(host_folder)
    assert found.resolve("/lib/data") == "/usr/lib/data"
    assert found.read("/lib/data", 3) == b"tent"
    for path in (
        "/out",
        "/up",
        "/../secret",
        "/lib/../../secret",
        "/usr/lib/data/",
        "/fifo/x",
        "/n" * 5000,
        "/a\0b",
        "",
    ):
        assert found.resolve(path) is None, path
    assert found.lookup("/out") is not None
    assert found.names("/") == tuple(sorted(os.listdir(host_folder), key=os.fsencode))
    with pytest.raises(BadInput):
        found.read("/fifo")
    with pytest.raises(BadInput):
        found.read("/out")
    with pytest.raises(BadInput):
        RootFs.from_directory(host_folder / "fifo")


def test_a_folder_and_its_tar_are_the_same_root(host_folder: Path) -> None:
    """Whatever can be asked has the same answer; only inode numbers differ."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", errors="surrogateescape") as archive:
        archive.add(host_folder, ".")
    packed = RootFs.from_layers([source(out.getvalue())])
    direct = RootFs.from_directory(host_folder)
    assert names(packed) == names(direct)

    def seen(entry: Entry | None) -> tuple[object, ...] | None:
        return (
            None
            if entry is None
            else (entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.target, entry.mtime)
        )

    asked: list[Callable[[RootFs], Callable[[str], object]]] = [
        lambda root: root.resolve,
        lambda root: root.names,
        lambda root: root.mode,
        lambda root: lambda path: seen(root.lookup(path)),
        lambda root: lambda path: seen(root.stat(path)),
    ]
    for path in (*names(direct), "/", "/lib/", "/lib/data", "/nothing", "/fifo/..", "/usr/lib/data/.."):
        for question in asked:
            assert question(packed)(path) == question(direct)(path), path


# ── what is put into a root ──────────────────────────────────────────────────────────────────────────────────────────


def test_where_a_file_will_stand() -> None:
    """Links of folders on the way are followed, as far as there are folders; the file's own name never is."""
    found = root([folder("usr/bin"), link("bin", "usr/bin"), link("usr/bin/it", "other"), link("opt", "/usr/local")])
    assert found.standing("/bin/it") == "/usr/bin/it"
    assert found.standing("/bin/deep/er/it") == "/usr/bin/deep/er/it"
    assert found.standing("/opt/it") == "/opt/it"  # a link to nothing
    assert found.standing("/it") == "/it"


def test_a_root_with_one_folder_more() -> None:
    """The folder and those above it are there, and all else stays; where it is there already, the root is the same."""
    found = root([file("usr/lib/a"), link("lib", "usr/lib")])
    more = found.with_folder("/lib/it/bin")
    assert more.is_folder("/usr/lib/it/bin")
    assert more.resolve("/lib/it/bin/../../a") == "/usr/lib/a"
    assert more.names("/usr/lib") == ("a", "it")
    assert names(more) == ["/lib", "/usr", "/usr/lib", "/usr/lib/a", "/usr/lib/it", "/usr/lib/it/bin"]
    assert more.read("/usr/lib/a") == b"x"
    assert found.with_folder("/lib") is found
    assert not found.exists("/usr/lib/it")
