"""Bases by name, from files and folders: found, kept, and looked at again when they change."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from recipes.bases.resolve import resolve
from recipes.bases.specs import known
from recipes.errors import BadArchive, BadInput, RecipeError, Unavailable
from recipes.model import BaseImage, Platform
from recipes.oci.media_types import OCI_CONFIG, OCI_MANIFEST
from recipes.oci.store import Store
from recipes.oci.tar import folder_entries, pieces
from recipes.support.workspace import Workspace, keep
from tests.fixtures_registry import LayoutWriter, tar_of
from tests.need import need_tool
from tests.stores import store_at

AMD64 = Platform("linux", "amd64")
OLD, NEW = tar_of({"etc/a": b"one"}), tar_of({"etc/b": b"three"})


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store.of(workspace)


def get(reference: str, workspace: Workspace, store: Store, platform: Platform = AMD64) -> BaseImage:
    return resolve(reference, platform, workspace, store)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_known_bases(workspace: Workspace) -> None:
    """Every base of the design is known, says what it is, and has a reference that can be read."""
    specs = known(workspace)
    assert set(specs) == {
        "scratch", "alpine", "busybox", "debian-slim", "ubuntu", "distroless-static", "distroless-cc", "python-alpine",
        "deb-static", "deb-cc", "deb-musl", "deb-busybox", "deb-slim", "deb-python",
    }  # fmt: skip
    assert all(spec.summary for spec in specs.values())
    assert specs["alpine"].reference.startswith("docker://docker.io/library/alpine:3.")
    assert specs["deb-slim"].kind == "mmdebstrap"


def test_scratch_is_empty(workspace: Workspace, store: Store) -> None:
    """scratch has no layers, no digest, no size."""
    base = get("scratch", workspace, store)
    assert (base.layers, base.digest, base.image_bytes) == ((), None, 0)


def test_a_project_adds_its_own(workspace: Workspace, store: Store) -> None:
    """[tool.fromscratch.bases] takes a reference or a table; relative paths start at the project."""
    (workspace.root / "root dir").mkdir()
    (workspace.root / "root dir/hello").write_text("hi")
    (workspace.root / "pyproject.toml").write_text(
        '[tool.fromscratch.bases]\nmine = "rootfs:root dir"\n'
        '[tool.fromscratch.bases.alpine]\nreference = "docker://localhost:5000/alpine:1.0"\nsummary = "ours"\n'
    )
    assert known(workspace)["alpine"].summary == "ours"
    base = get("mine", workspace, store)
    assert (base.name, base.reference, base.image_bytes) == ("mine", "rootfs:root dir", 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[tool.fromscratch.bases.mine]\nreferense = "scratch"', "'reference'"),
        ('[tool.fromscratch.bases.mine]\nsummary = "x"', "no reference"),
        ('[tool.fromscratch.bases]\nmine = "dockr://alpine"', "'docker'"),
        ("[tool.fromscratch.bases]\nmine = 3", "neither"),
        ('[tool.fromscratch.bases]\n"oci:x" = "scratch"', "cannot be the name"),
        ("[tool.fromscratch\n", "is not valid TOML"),
        ("[tool]\nfromscratch = 3", "has to be a table"),
    ],
)
def test_the_projects_table_is_strict(workspace: Workspace, text: str, expected: str) -> None:
    """A wrong table is BadInput that names the file, and the nearest key that would be right."""
    (workspace.root / "pyproject.toml").write_text(text)
    with pytest.raises(BadInput, match=r"pyproject\.toml") as caught:
        known(workspace)
    assert expected in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(("name", "hint"), [("alpin", "'alpine'"), ("alpine:3.20", "docker://alpine:3.20")])
def test_an_unknown_name(workspace: Workspace, store: Store, name: str, hint: str) -> None:
    """An unknown base names the nearest one, or the reference that may be meant."""
    with pytest.raises(BadInput, match="unknown base") as caught:
        get(name, workspace, store)
    assert hint in caught.value.hint


# ── layouts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_layout_by_tag_or_alone(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """oci:path takes the only image, oci:path:tag the tagged one, also behind nested indexes; a new one is noticed."""
    layout = LayoutWriter(tmp_path / "a layout")
    first = layout.image(OLD, tag="1.0")
    assert get(f"oci:{layout.folder}", workspace, store).digest == first["digest"]
    second = layout.image(NEW)
    layout.index(
        layout.index(second, layout.image(OLD, platform="linux/arm64")) | {"platform": second["platform"]}, tag="2.0"
    )
    assert get(f"oci:{layout.folder}:1.0", workspace, store).digest == first["digest"]
    assert get(f"oci:{layout.folder}:2.0", workspace, store).digest == second["digest"]
    with pytest.raises(BadInput) as caught:
        get(f"oci:{layout.folder}", workspace, store)
    assert "1.0, 2.0" in caught.value.hint
    with pytest.raises(Unavailable, match="no image '3'"):
        get(f"oci:{layout.folder}:3", workspace, store)


def test_one_tag_for_two_platforms(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """Where several images have the tag, the platform decides; a tag that only other platforms have lists them."""
    layout = LayoutWriter(tmp_path / "layout")
    images = {
        name: layout.image(tar_of({name: b""}), platform=name, tag="t") for name in ("linux/amd64", "linux/arm64")
    }
    for platform, image in images.items():
        assert get(f"oci:{layout.folder}:t", workspace, store, Platform.parse(platform)).digest == image["digest"]
    with pytest.raises(Unavailable, match="no image for linux/s390x") as caught:
        get(f"oci:{layout.folder}:t", workspace, store, Platform.parse("linux/s390x"))
    assert "linux/amd64, linux/arm64" in caught.value.hint


@pytest.mark.parametrize("where", ["layout", "index"])
def test_a_neighbour_that_cannot_be_used(tmp_path: Path, workspace: Workspace, store: Store, where: str) -> None:
    """Something with another kind of digest beside an image does no harm, and is an error where it is what is meant."""
    layout = LayoutWriter(tmp_path / "layout")
    image = layout.image(OLD, tag="good" if where == "layout" else "")
    other = {**image, "digest": f"sha512:{'0' * 128}", "platform": {"os": "linux", "architecture": "arm64"}}
    if where == "layout":
        layout.add(other, "other")
    else:
        layout.index(image, other, tag="good")
    assert get(f"oci:{layout.folder}:good", workspace, store).digest == image["digest"]
    with pytest.raises(BadArchive, match="not a valid descriptor"):
        asked = "other" if where == "layout" else "good"
        get(f"oci:{layout.folder}:{asked}", workspace, store, Platform("linux", "arm64"))


def test_an_index_that_names_no_platform(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """The only image of an index needs no platform there: its config has one, which is held to it."""
    layout = LayoutWriter(tmp_path / "layout")
    image = {key: value for key, value in layout.image(OLD).items() if key != "platform"}
    layout.index(image, tag="one")
    assert get(f"oci:{layout.folder}:one", workspace, store).digest == image["digest"]
    with pytest.raises(Unavailable, match="no image for linux/arm64"):
        get(f"oci:{layout.folder}:one", workspace, store, Platform("linux", "arm64"))
    layout.index(image, image, tag="two")
    with pytest.raises(Unavailable, match="no image for linux/amd64"):
        get(f"oci:{layout.folder}:two", workspace, store)


@pytest.mark.parametrize("variant", ["v\u00b2", "v" + "9" * 5000, "v", "6", "v-6", "v\u0666"])
def test_a_variant_that_is_none(tmp_path: Path, workspace: Workspace, store: Store, variant: str) -> None:
    """What a stranger calls a variant is no level that a processor has, and no other trouble."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.index(layout.image(OLD, platform=f"linux/arm/{variant}"), tag="x")
    with pytest.raises(Unavailable, match="has no image for linux/arm/v7"):
        get(f"oci:{layout.folder}", workspace, store, Platform("linux", "arm", "v7"))


def test_odd_configs(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """Half a character in the environment is what engines make of it; without layers no list of them is needed."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(OLD, env=("A=\ud800 \U0001f600",), tag="half")
    base = get(f"oci:{layout.folder}:half", workspace, store)
    assert base.env == (("A", "\ufffd \U0001f600"),)
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers"}}
    media_type = OCI_MANIFEST
    manifest = {
        "schemaVersion": 2,
        "config": layout.blob(json.dumps(config).encode(), OCI_CONFIG),
        "layers": [],
    }
    layout.add(layout.blob(json.dumps(manifest).encode(), media_type), "empty")
    assert get(f"oci:{layout.folder}:empty", workspace, store).layers == ()


def test_a_damaged_layout(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """Every blob of a layout is checked: a changed, a shortened and a missing one are errors, whatever it is."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(OLD, tag="x")
    for blob in sorted((layout.folder / "blobs/sha256").iterdir()):
        data = blob.read_bytes()
        for damaged in (data[:-3], data[:10] + b"?" + data[11:], b"", None):
            if damaged is None:
                blob.unlink()
            else:
                blob.write_bytes(damaged)
            with pytest.raises(RecipeError) as caught:
                get(f"oci:{layout.folder}", workspace, store_at(tmp_path / "fresh"))
            assert isinstance(caught.value, BadArchive | Unavailable)
            blob.write_bytes(data)


@pytest.mark.parametrize(
    "index",
    ["", "[]", "{}", '{"manifests": [1]}', '{"manifests": [{"mediaType": "x", "digest": "sha256:../x", "size": 1}]}',
     '{"manifests": {"a": 1}}', "[" * 5000],
)  # fmt: skip
def test_a_hostile_index(tmp_path: Path, workspace: Workspace, store: Store, index: str) -> None:
    """What is not an index ends in our own error."""
    layout = LayoutWriter(tmp_path / "layout")
    (layout.folder / "index.json").write_text(index)
    with pytest.raises(RecipeError):
        get(f"oci:{layout.folder}", workspace, store)


# ── archives of layouts ──────────────────────────────────────────────────────────────────────────────────────────────


def archived(layout: Path, path: Path, prefix: str = "") -> Path:
    """The layout as a tar, its members named as podman does or, with "./", as tar does."""
    with tarfile.open(path, "w") as archive:
        for file in sorted(layout.rglob("*")):
            archive.add(file, prefix + str(file.relative_to(layout)), recursive=False)
    return path


@pytest.mark.parametrize("prefix", ["", "./"])
def test_an_archived_layout(tmp_path: Path, workspace: Workspace, store: Store, prefix: str) -> None:
    """The same image as the layout's, by its tag or as the only one; a changed archive is read again."""
    layout = LayoutWriter(tmp_path / "layout")
    image = layout.image(OLD, NEW, tag="1.0")
    path = archived(layout.folder, tmp_path / "image.tar", prefix)
    base = get(f"oci-archive:{path}:1.0", workspace, store)
    assert (base.digest, base.layers) == (image["digest"], get(f"oci:{layout.folder}", workspace, store).layers)
    assert get(f"oci-archive:{path}", workspace, store_at(tmp_path / "fresh")).digest == image["digest"]
    layout.image(OLD, tag="2.0")
    archived(layout.folder, path, prefix)
    with pytest.raises(BadInput) as caught:
        get(f"oci-archive:{path}", workspace, store)
    assert "1.0, 2.0" in caught.value.hint
    with pytest.raises(Unavailable, match="no image '3'"):
        get(f"oci-archive:{path}:3", workspace, store)
    with pytest.raises(Unavailable, match="linux/arm64"):
        get(f"oci-archive:{path}:1.0", workspace, store, Platform("linux", "arm64"))


def test_skopeos_archived_layout(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """What skopeo wrote, with the library that podman saves with, is read to the layers of the layout it was given."""
    skopeo = need_tool("skopeo")
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(OLD, NEW, OLD, tag="x")
    target = f"oci-archive:{tmp_path}/image.tar:app:dev"
    command = [skopeo, "--insecure-policy", "copy", "-q", f"oci:{layout.folder}:x", target]
    subprocess.run(command, check=True, capture_output=True)
    assert get(target, workspace, store).layers == get(f"oci:{layout.folder}:x", workspace, store).layers


def test_hostile_archived_layouts(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """Damaged, lying and escaping archives of a layout end in our own error."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(OLD, tag="x")
    good = archived(layout.folder, tmp_path / "good.tar").read_bytes()
    cases = {"empty": b"", "cut": good[: len(good) // 3], "no index": tar_of({"x": b"1"})}
    for index in ("[]", "{}", '{"manifests": [1]}', "[" * 5000, " " * (5 << 20)):
        cases[index[:20]] = tar_of({"index.json": index.encode()})
    for number, blob in enumerate(sorted((layout.folder / "blobs/sha256").iterdir())):
        data = blob.read_bytes()
        for damaged in (data[:-3], data[:10] + b"?" + data[11:], None):
            blob.unlink()
            if damaged is None:
                blob.symlink_to("../../../../../../etc/hostname")
            else:
                blob.write_bytes(damaged)
            cases[f"{number} {damaged!r}"] = archived(layout.folder, tmp_path / "bad.tar").read_bytes()
            blob.unlink()
            blob.write_bytes(data)
    for content in cases.values():
        path = tmp_path / "image.tar"
        path.write_bytes(content)
        with pytest.raises(BadArchive):
            get(f"oci-archive:{path}", workspace, store_at(tmp_path / "fresh"))
    with pytest.raises(Unavailable, match="not there"):
        get(f"oci-archive:{tmp_path}/absent.tar", workspace, store)


# ── docker archives ──────────────────────────────────────────────────────────────────────────────────────────────────


def docker_archive(
    path: Path, *images: tuple[str, bytes], layer_name: str = "{}/layer.tar", compress: bool = False
) -> str:
    """Write a `docker save` tar with one-layer images (name, layer); returns the last image's ID."""
    members: dict[str, bytes] = {}
    manifest = []
    digest = ""
    for name, tar in images:
        diff_id = hashlib.sha256(tar).hexdigest()
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["A=1"]},
                             "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]}}).encode()  # fmt: skip
        digest = hashlib.sha256(config).hexdigest()
        layer = layer_name.format(diff_id)
        members |= {f"{digest}.json": config, layer: gzip.compress(tar) if compress else tar}
        manifest.append({"Config": f"{digest}.json", "RepoTags": [name], "Layers": [layer]})
    members["manifest.json"] = json.dumps(manifest).encode()
    path.write_bytes(tar_of(members))
    return f"sha256:{digest}"


@pytest.mark.parametrize("layer_name", ["{}/layer.tar", "blobs/sha256/{}"])
@pytest.mark.parametrize("compress", [False, True])
def test_a_docker_archive(tmp_path: Path, workspace: Workspace, store: Store, layer_name: str, compress: bool) -> None:
    """Old and new archives give the layers, the environment and the image ID; several images need a name."""
    path = tmp_path / "two: images.tar"
    image_id = docker_archive(path, ("a:1", OLD), ("b:2", NEW), layer_name=layer_name, compress=compress)
    base = get(f"docker-archive:{path}:b:2", workspace, store)
    assert (base.digest, base.image_bytes, base.env) == (image_id, 5, (("A", "1"),))
    assert base.layers[0].diff_id == f"sha256:{hashlib.sha256(NEW).hexdigest()}"
    assert get(f"docker-archive:{path}:docker.io/library/b:2", workspace, store).digest == image_id
    with pytest.raises(BadInput) as caught:
        get(f"docker-archive:{path}", workspace, store)
    assert "a:1, b:2" in caught.value.hint
    with pytest.raises(Unavailable, match="no image 'c'"):
        get(f"docker-archive:{path}:c", workspace, store)
    with pytest.raises(Unavailable, match="linux/arm64"):
        get(f"docker-archive:{path}:b:2", workspace, store, Platform("linux", "arm64"))


def test_skopeos_docker_archive(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """An archive that skopeo wrote, with a layer that comes twice, is read to the same layers as its layout."""
    skopeo = need_tool("skopeo")
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(OLD, NEW, OLD, tag="x")
    target = f"docker-archive:{tmp_path}/image.tar:app:dev"
    command = [skopeo, "--insecure-policy", "copy", "-q", f"oci:{layout.folder}:x", target]
    subprocess.run(command, check=True, capture_output=True)
    from_archive = get(target, workspace, store)
    from_layout = get(f"oci:{layout.folder}:x", workspace, store)
    assert [layer.diff_id for layer in from_archive.layers] == [layer.diff_id for layer in from_layout.layers]


def test_hostile_archives(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """Truncated, lying and escaping archives end in our own error; nothing is written outside the workspace."""
    good = tmp_path / "good.tar"
    docker_archive(good, ("a:1", OLD))
    data = good.read_bytes()
    other = tar_of({"etc/passwd": b"evil"})
    cases = {
        "empty": b"",
        "not a tar": b"hello" * 400,
        "cut": data[: len(data) // 3],
        "no manifest": tar_of({"x": b"1"}),
        "bad manifest": tar_of({"manifest.json": b"[1]"}),
        "deep manifest": tar_of({"manifest.json": b"[" * 100_000}),
        "other layer": data.replace(OLD, other) if len(OLD) == len(other) else tar_of({"manifest.json": b"{}"}),
        "link out": linked_archive("../../../../etc/hostname"),
        "link loop": linked_archive("layer.tar"),
    }
    for name, content in cases.items():
        path = tmp_path / f"{name}.tar"
        path.write_bytes(content)
        with pytest.raises(BadArchive):
            get(f"docker-archive:{path}", workspace, store)
    with pytest.raises(Unavailable, match="not there"):
        get(f"docker-archive:{tmp_path}/absent.tar", workspace, store)


@pytest.mark.parametrize("image", [{"Config": "c" * 9000}, {"RepoTags": ["t" * 9000] * 2, "Config": "c"}])
def test_an_error_is_no_longer_than_a_user_reads(
    tmp_path: Path, workspace: Workspace, store: Store, image: dict[str, object]
) -> None:
    """An archive of a stranger does not fill the terminal with the names that it has chosen."""
    path = tmp_path / "image.tar"
    path.write_bytes(tar_of({"manifest.json": json.dumps([image | {"Layers": []}]).encode()}))
    with pytest.raises(RecipeError) as caught:
        get(f"docker-archive:{path}:other" if "RepoTags" in image else f"docker-archive:{path}", workspace, store)
    assert len(f"{caught.value}{caught.value.hint}") < 1000


def linked_archive(target: str) -> bytes:
    """A docker archive whose layer is a symbolic link."""
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64]}, "os": "linux", "architecture": "amd64"})
    manifest = json.dumps([{"Config": "c.json", "Layers": ["layer.tar"]}])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in (("c.json", config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, target
        archive.addfile(link)
    return out.getvalue()


# ── root folders and tars ────────────────────────────────────────────────────────────────────────────────────────────


def make_root(root: Path) -> Path:
    """A root with everything that a root may hold."""
    (root / "etc").mkdir(parents=True)
    (root / "etc/b").write_text("b")
    (root / "etc/a").write_text("aa")
    os.link(root / "etc/a", root / "etc/z hard")
    (root / "lib").symlink_to("usr/lib")
    (root / "dangling").symlink_to("/nowhere/\udcff")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "setuid").write_bytes(b"x" * 3)
    (root / "setuid").chmod(0o4755)
    (root / os.fsdecode(b"latin-\xe9")).write_text("e")
    (root / ("long" * 40)).mkdir()
    (root / ("long" * 40) / ("name" * 40)).write_text("long")
    os.mkfifo(root / "fifo")
    return root


def test_a_folder_becomes_one_layer(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """Two copies made in another order, at another time and place, under another umask give the same digest."""
    first = make_root(tmp_path / "one")
    old = os.umask(0o077)
    try:
        second = tmp_path / "two"
        subprocess.run(["cp", "-a", f"{first}/.", str(second)], check=True)
    finally:
        os.umask(old)
    os.utime(second / "etc/a", (1, 1))
    base = get(f"rootfs:{first}", workspace, store)
    again = get(f"rootfs:{second}", workspace, store)
    assert base.digest == again.digest
    assert base.layers == again.layers
    links = sum(len(os.readlink(os.fsencode(path))) for path in first.rglob("*") if path.is_symlink())
    assert base.image_bytes == 1 + 2 + 3 + 1 + 4 + links  # the hard link counts once, a link's target as Docker does
    blob = store.blob(base.layers[0].descriptor.digest)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob.read_bytes())), errors="surrogateescape") as archive:
        members = {member.name: member for member in archive}
    assert list(members) == sorted(members, key=os.fsencode)
    assert members["etc/z hard"].islnk()
    assert members["etc/z hard"].linkname == "etc/a"
    assert (members["tmp"].mode, members["setuid"].mode) == (0o1777, 0o4755)
    assert members["dangling"].linkname == "/nowhere/\udcff"
    assert {(member.uid, member.gid, member.mtime, member.uname) for member in members.values()} == {(0, 0, 0, "")}


def test_a_changed_folder_is_packed_again(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """A change anywhere in the folder gives another layer the next time."""
    root = make_root(tmp_path / "root")
    before = get(f"rootfs:{root}", workspace, store)
    (root / "etc/b").write_text("c")
    assert get(f"rootfs:{root}", workspace, store).digest != before.digest


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_a_tar_is_taken_as_it_is(tmp_path: Path, workspace: Workspace, store: Store, kind: str) -> None:
    """The layer's content is the tar's; one that is compressed already keeps its very bytes."""
    path = tmp_path / "root.tar"
    data = {"plain": OLD, "gzip": gzip.compress(OLD), "zstd": zstandard.compress(OLD)}[kind]
    path.write_bytes(data)
    base = get(f"rootfs:{path}", workspace, store)
    assert base.digest == base.layers[0].diff_id == f"sha256:{hashlib.sha256(OLD).hexdigest()}"
    assert base.image_bytes == 3
    if kind != "plain":
        assert store.read(base.layers[0].descriptor.digest) == data


def test_bad_roots(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """No such folder is Unavailable, a file that is not a tar is BadArchive."""
    with pytest.raises(Unavailable, match="not there"):
        get(f"rootfs:{tmp_path}/absent", workspace, store)
    for content in (b"hello" * 1000, b""):
        (tmp_path / "no.tar").write_bytes(content)
        with pytest.raises(BadArchive):
            get(f"rootfs:{tmp_path}/no.tar", workspace, store)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be opened ends in BadInput that names it, not in an image without it."""
    root = make_root(tmp_path / "root")
    entries = list(folder_entries(root))
    (root / "etc/b").unlink()
    with pytest.raises(BadInput, match="etc/b"):
        list(pieces(entries))


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_at_once(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """Eight that want the same base at the same time get the same one."""
    root = make_root(tmp_path / "root")
    with ThreadPoolExecutor(8) as pool:
        bases = list(pool.map(lambda _: get(f"rootfs:{root}", workspace, store), range(8)))
    assert len(set(bases)) == 1


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"version": 1, "stamp": "", "base": {"layers": [{}]}}'])
def test_a_damaged_record_is_made_again(tmp_path: Path, workspace: Workspace, store: Store, damage: str) -> None:
    """Whatever is in build/bases, the next run just works."""
    root = make_root(tmp_path / "root")
    base = get(f"rootfs:{root}", workspace, store)
    (record,) = workspace.bases.glob("*.json")
    keep(record, damage.encode())
    assert get(f"rootfs:{root}", workspace, store) == base


def test_a_known_base_imports_nothing_heavy(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """The second resolve of a base imports no registry client, no engine, no compressor, no subprocess."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(OLD, tag="x")
    get(f"oci:{layout.folder}", workspace, store)
    code = (
        "import sys\n"
        "from recipes.bases.resolve import resolve\n"
        "from recipes.oci.store import Store\n"
        "from recipes.model import Platform\n"
        "from recipes.support.workspace import Workspace\n"
        "from pathlib import Path\n"
        "w = Workspace(Path(sys.argv[1]))\n"
        "print(resolve(sys.argv[2], Platform('linux', 'amd64'), w, Store.of(w)).digest)\n"
        "heavy = ('requests', 'urllib3', 'docker', 'zstandard', 'deflate', 'http.client')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(workspace.root), f"oci:{layout.folder}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.splitlines()[1] == "[]"
