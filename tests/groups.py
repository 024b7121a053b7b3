"""Which tests one worker does all of, where several workers run side by side: those of a file or function named here.

All others go one by one to whichever worker has time. (The marks of pytest-xdist that are meant for this do nothing in
pytest 9.2, whose ids of tests cannot be written to.)
"""

from __future__ import annotations

from typing import Any

import pytest

ENGINE = "engine"
"""A session's private Docker Engine is started for one worker, and its tests look at all that is in it."""

GROUPS = {
    "tests/package/test_dockerfile.py::test_docker_build_gives_the_same_image": ENGINE,
    "tests/run/test_docker.py": ENGINE,
    "tests/run/test_engines.py": ENGINE,
    "tests/test_needs.py::test_the_probe_asks_a_server_in_scratch": ENGINE,
    "tests/test_run.py": ENGINE,
    "tests/verdict/test_entry_engine.py::test_what_the_engine_says": ENGINE,
    "tests/workflows/test_bundle.py::test_the_docker_engine_runs_it_too": ENGINE,
    "tests/workflows/test_debug.py::test_docker_runs_the_twin": ENGINE,
    "tests/workflows/test_verify.py::test_what_docker_build_made": ENGINE,
    "tests/workflows/test_walkthrough.py": ENGINE,
    "tests/oracle/test_images.py": ENGINE,
    # What the machine has of shared memory is counted: one hoard at a time, and no disk in memory beside it.
    "tests/run/test_jail.py": "memory",
    "tests/oci/test_bombs.py": "memory",
    # The commands of the README share a clone, and what each has built there.
    "tests/test_docs.py": "clone",
    # One browser is enough.
    "tests/report/test_browser.py": "browser",
    # One environment, into which this project is installed.
    "tests/test_downstream.py": "downstream",
}


def group_of(nodeid: str) -> str:
    """The group of a test; one that has none is a group of its own."""
    return GROUPS.get(nodeid.partition("[")[0]) or GROUPS.get(nodeid.partition("::")[0], nodeid)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Ours, unless the user has chosen another one with --dist."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Grouping(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Grouping(config, log)
