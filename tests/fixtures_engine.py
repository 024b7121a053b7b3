"""A real Docker Engine for the tests: one that answers already, else a private one that ends with the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.errors import Unavailable
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.run.docker import DockerEngine
from recipes.run.engine import may_have_docker
from recipes.support.workspace import Workspace
from tests.groups import ENGINE, group_of
from tests.need import need, need_tool
from tests.stores import store_at


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See to it that one worker has all tests that use an engine."""
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()) and group_of(item.nodeid) != ENGINE:
            raise pytest.UsageError(f"{item.nodeid} uses an engine: add it to tests/groups.py")


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The engine's address. DOCKER_HOST is set to it for as long as the tests run."""
    if os.environ.get("DOCKER_HOST"):
        yield os.environ["DOCKER_HOST"]
        return
    if may_have_docker():
        with contextlib.suppress(Unavailable):
            DockerEngine.connect(*opened(Path("/nonexistent")))
            yield "unix:///var/run/docker.sock"
            return
    daemon = need_tool("dockerd")
    need(os.geteuid() == 0, "root, to start a private Docker Engine")
    # Not under pytest's folder: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    address = f"unix://{folder}/socket"
    arguments = ["--host", address, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
    arguments += ["--pidfile", f"{folder}/pid", "--bridge", "none", "--iptables=false"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([daemon, *arguments], stdout=log, stderr=log, start_new_session=True)
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = address
    try:
        _wait_for(process, folder)
        yield address
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def opened(folder: Path) -> tuple[Store, Roots]:
    store = store_at(folder)
    return store, Roots(store)


def _wait_for(process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            DockerEngine.connect(*opened(folder))
            return
        except Unavailable:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"dockerd did not come up:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)


@pytest.fixture
def docker_engine(engine: str, workspace: Workspace) -> DockerEngine:
    return DockerEngine.connect(*opened(workspace.images))
