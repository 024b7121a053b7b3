"""Broken files of every kind end in our own error or in an answer: in bounded time and memory, and never otherwise.

`make fuzz` runs 100,000 inputs, or as many as FUZZ_INPUTS says; `make test` a few thousand.
"""

from __future__ import annotations

import contextlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.errors import RecipeError
from recipes.model import Command, Platform
from recipes.oci import reference
from recipes.oci.manifests import parse_json, read_descriptor
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.shell import Completed
from recipes.support.workspace import Workspace
from tests.fuzz.targets import TARGETS

INPUTS = int(os.environ.get("FUZZ_INPUTS", "4000"))
ROOT = Path(__file__).resolve().parents[2]


def feed(name: str, first: int, count: int) -> Completed:
    argv = (sys.executable, "-m", "tests.fuzz", name, str(first), str(count))
    return shell.run(Command(argv, cwd=ROOT), timeout=60 + count * 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_broken_files(name: str) -> None:
    """Mutated real files: no other error than ours, no crash, no hang, no allocation that the input asked for."""
    count = max(1, INPUTS * TARGETS[name] // 100)
    workers = len(os.sched_getaffinity(0))
    share = -(-count // workers)
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(lambda worker: feed(name, worker * share, share), range(workers)))
    for each in done:
        assert each.exit_code == 0, each.stderr.decode(errors="replace")[-4000:]
        sys.stdout.write(each.stdout.decode())


def test_fuzz_numbers_are_shared_out() -> None:
    """Every hundred inputs are given to some target."""
    assert sum(TARGETS.values()) == 100


SAMPLE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
KEYS = st.sampled_from(("language", "sources", "args", "stdin", "expect", "include", "libraries", "image", "a"))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), SAMPLE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | SAMPLE, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=max(100, INPUTS // 20), deadline=None)
@given(text=SAMPLE | st.tuples(st.sampled_from(reference.TRANSPORTS), SAMPLE).map(":".join))
def test_fuzz_references(text: str) -> None:
    """What is typed as a base is understood or refused; what is understood is written as it is read."""
    try:
        read = reference.parse(text)
    except RecipeError:
        return
    assert reference.parse(str(read)) == read


@settings(max_examples=max(100, INPUTS // 20), deadline=None)
@given(text=SAMPLE | st.lists(st.sampled_from(("linux", "arm", "v7", "", "amd64")), max_size=4).map("/".join))
def test_fuzz_platforms(text: str) -> None:
    """What is typed as a platform is understood or refused, and written as it is read."""
    try:
        read = Platform.parse(text)
    except RecipeError:
        return
    assert Platform.parse(str(read)) == read


@settings(max_examples=max(100, INPUTS // 20), deadline=None)
@given(value=VALUES)
def test_fuzz_descriptors(value: object) -> None:
    """A descriptor of any shape is used only if it is one."""
    try:
        found = read_descriptor(value, "it")
    except RecipeError:
        return
    assert found.size >= 0


@settings(max_examples=max(100, INPUTS // 20), deadline=None)
@given(data=st.binary(max_size=200) | VALUES.map(repr).map(str.encode))
def test_fuzz_json(data: bytes) -> None:
    """JSON of a stranger is an object, or it is refused."""
    with contextlib.suppress(RecipeError):
        assert isinstance(parse_json(data, "it"), dict)


@settings(max_examples=max(100, INPUTS // 20), deadline=None)
@given(lines=st.lists(st.tuples(KEYS | SAMPLE, VALUES), max_size=4))
def test_fuzz_samples(lines: list[tuple[str, object]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A sample.toml with anything in it is a sample, or one error."""
    folder = tmp_path_factory.getbasetemp() / "samples-of-strangers"
    folder.mkdir(exist_ok=True)
    (folder / "main.cpp").write_text("int main() {}\n")
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in lines)
    (folder / "sample.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    with contextlib.suppress(RecipeError):
        assert load(str(folder), Workspace(folder)).sources


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(_toml(each) for each in value)}]"
        case dict():
            return f"{{{', '.join(f'{key} = {_toml(each)}' for key, each in value.items())}}}"
        case str():
            return f"'{value}'"
        case _:
            return str(value)
