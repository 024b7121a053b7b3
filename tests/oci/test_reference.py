"""References are read as the tools that everybody knows read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import BadInput
from recipes.oci.reference import ImageName, docker_tag, has_transport, image_name, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpine", ImageName("docker.io", "library/alpine", "latest")),
        ("alpine:3.20", ImageName("docker.io", "library/alpine", "3.20")),
        ("docker.io/alpine", ImageName("docker.io", "library/alpine", "latest")),
        ("bitnami/kubectl:1", ImageName("docker.io", "bitnami/kubectl", "1")),
        ("gcr.io/distroless/cc-debian13", ImageName("gcr.io", "distroless/cc-debian13", "latest")),
        ("localhost/a", ImageName("localhost", "a", "latest")),
        ("localhost:5000/a/b_c:1.0-rc.1", ImageName("localhost:5000", "a/b_c", "1.0-rc.1")),
        ("[::1]:5000/a", ImageName("[::1]:5000", "a", "latest")),
        ("ghcr.io/my.team/app", ImageName("ghcr.io", "my.team/app", "latest")),
        (f"alpine@{DIGEST}", ImageName("docker.io", "library/alpine", "", DIGEST)),
        (f"r.example:1/a:2@{DIGEST}", ImageName("r.example:1", "a", "2", DIGEST)),
    ],
)
def test_image_names_are_completed(text: str, expected: ImageName) -> None:
    """Host, repository, tag and digest are found as Docker finds them, and the result reads back as itself."""
    assert image_name(text) == expected
    assert image_name(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "Alpine", "a b", "-x", "alpine:", "alpine:-x", "alpine@sha256:12", "a//b", "../a", "a\n", "alpine:3\n"]
)
def test_bad_image_names_are_refused(text: str) -> None:
    """What is not an image name is BadInput with a hint, never a request to some registry."""
    with pytest.raises(BadInput) as caught:
        parse(f"docker://{text}")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost:5000", True), ("127.0.0.1:5000", True), ("127.8.9.1", True), ("[::1]:80", True),
     ("localhost.example", False), ("10.0.0.1:5000", False), ("docker.io", False), ("127.0.0.1.example:80", False)],
)  # fmt: skip
def test_plain_http_is_for_this_machine_alone(host: str, expected: bool) -> None:
    """Only loopback hosts may speak plain HTTP; a name that merely looks like one may not."""
    assert ImageName(host, "a").is_loopback is expected


def test_paths_with_colons_and_spaces(tmp_path: Path) -> None:
    """The longest path that exists is the one that is meant; what follows it is the tag or the name."""
    (tmp_path / "my: layout").mkdir()
    (tmp_path / "lay").mkdir()
    (tmp_path / "image.tar").touch()
    for text, target, selector in [
        ("oci:my: layout", "my: layout", ""),
        ("oci:my: layout:1.0", "my: layout", "1.0"),
        ("oci:lay", "lay", ""),
        ("oci:lay:v:1", "lay", "v:1"),
        ("docker-archive:image.tar:app:dev", "image.tar", "app:dev"),
        ("docker-archive:image.tar:localhost:5000/app", "image.tar", "localhost:5000/app"),
        ("oci-archive:image.tar:1.0", "image.tar", "1.0"),
        ("oci:absent:1.0", "absent", "1.0"),
        ("oci:../absent/lay", "../absent/lay", ""),
    ]:
        reference = parse(text, tmp_path)
        assert (reference.target, reference.selector) == (target, selector), text
        assert str(reference) == text


def test_a_root_may_have_any_path() -> None:
    """All that follows rootfs: is the path."""
    assert parse("rootfs:a:b c/d.tar").target == "a:b c/d.tar"


@pytest.mark.parametrize(
    ("text", "hint"), [("docker:alpine", "docker://alpine"), ("oci:", "oci:"), ("dockr://alpine", "'docker'")]
)
def test_near_misses_are_explained(text: str, hint: str) -> None:
    """A reference that is almost right is BadInput whose hint shows the right one."""
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert hint in caught.value.hint


def test_names_are_no_references() -> None:
    """A base's name has no transport; an unknown word before a colon is none either."""
    assert has_transport("oci:x")
    assert not has_transport("alpine")
    assert not has_transport("alpine:3.20")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hello:gcc-static-scratch", "hello:gcc-static-scratch"),
        ("With Blank:x", "with-blank:x"),
        ("ünder:x", "nder:x"),
        ("a__b..c:-x y", "a-b-c:x-y"),
        ("a", "a:latest"),
    ],
)
def test_any_name_becomes_a_tag(name: str, expected: str) -> None:
    """What a tag cannot hold becomes a dash, or is left out at the ends."""
    assert docker_tag(name) == expected
    assert image_name(docker_tag(name))


def test_names_of_which_nothing_is_left_differ() -> None:
    """Where a tag can hold none of its characters, the name is told from others by its hash."""
    tags = [docker_tag(f"{name}:x") for name in ("日本", "привет", "ü", "\udcff", "--")]
    assert len(set(tags)) == len(tags)
    assert docker_tag("ü:x") == "sample-607474ca:x"
    for tag in tags:
        assert image_name(tag)
