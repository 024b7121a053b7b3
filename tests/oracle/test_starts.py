"""Our verdicts against real starts of programs: each stops at its first instruction, if the loader lets it come so far.

Compared are the verdict, every line that the loader writes, and the files that are mapped when the program stops.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from recipes.model import Command, Platform
from recipes.support import shell
from tests.compilers import Compilers
from tests.need import need, need_tool
from tests.oracle.compare import host_platform, programs
from tests.oracle.cpus import CPUS, MACHINES, add_special_folders, mixed_root, musl_root
from tests.oracle.layouts import COMMON, OF_GLIBC, OF_MUSL, Layout
from tests.oracle.roots import ALL, FOLDER, WHOLE, root
from tests.oracle.starts import Compared, Start, compare_starts
from tests.oracle.stopping import write_stopping

_SHARE = ("amd64", "armhf", "mips64el", "ppc64el", "s390x")
"""Of the CPUs: of 32 and of 64 bits, of both byte orders, and with relocations of their own."""


@pytest.fixture(autouse=True)
def on_amd64() -> None:
    need(Platform.host().architecture == "amd64", "an x86-64 machine")


@pytest.mark.slow
@pytest.mark.parametrize("name", CPUS if ALL else _SHARE)
def test_releases_of_glibc(name: str, tmp_path: Path, compilers: Compilers, capsys: pytest.CaptureFixture[str]) -> None:
    """The loader of each release with the libraries of each, run by QEMU where they are for another CPU."""
    cpu = CPUS[name]
    if cpu.emulator:
        need_tool(cpu.emulator)
        works = shell.run(Command((cpu.emulator, str(cpu.loader_in(cpu.suites()[-1])), "--version"))).exit_code == 0
        need(works, f"a QEMU that knows all instructions of Debian's glibc for {name}")
    count, wrong = 0, []
    for loader, libraries in product(cpu.suites(), repeat=2):
        folder = tmp_path / f"{loader} with {libraries}"
        starts = mixed_root(folder, cpu, loader, libraries, compilers)
        compared = compare_starts(folder, starts, cpu.platform, emulator=cpu.emulator)
        count += compared.count
        wrong += compared.differences
    with capsys.disabled():
        sys.stderr.write(f"\n{name}: {count} starts with each release of glibc, {len(wrong)} disagreements")
    assert count >= 18
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", MACHINES if ALL else ("amd64", "ppc64el", "s390x"))
def test_kinds_of_machines(name: str, tmp_path: Path, compilers: Compilers, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders for some machines alone, and $PLATFORM: on each machine that QEMU can be, with each release."""
    cpu = CPUS[name]
    emulator = cpu.emulator or "/usr/bin/qemu-x86_64-static"
    need_tool(emulator)
    count, wrong = Counter[str](), []
    for suite in cpu.suites():
        folder = tmp_path / suite
        mixed_root(folder, cpu, suite, suite, compilers)
        starts = add_special_folders(folder, cpu)
        for machine in MACHINES[name].items():
            compared = compare_starts(folder, starts, cpu.platform, emulator=emulator, machine=machine)
            count += compared.verdicts
            wrong += [f"{machine[0]}: {difference}" for difference in compared.differences]
    with capsys.disabled():
        sys.stderr.write(f"\n{name}, machine by machine: {Compared(count, wrong)}")
    assert count.total() > 3
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["bullseye-cc", "cc", "trixie-cc"] if ALL else ["cc"])
def test_caches_of_folders_for_some_machines(
    suite: str, tmp_path: Path, compilers: Compilers, capsys: pytest.CaptureFixture[str]
) -> None:
    """What this machine's ldconfig marks as for some machines alone, on each machine that QEMU can be."""
    emulator = need_tool("qemu-x86_64-static")
    count, wrong = Counter[str](), []
    better = "glibc-hwcaps/x86-64-v3"
    folders = (["haswell"], ["haswell", ""], ["xeon_phi"], ["haswell/x86_64"], ["tls/haswell"], ["avx512_1"])
    for number, below in enumerate((*folders, ["x86_64"], [better], [better, "haswell"])):
        layout = Layout(tmp_path / str(number), suite, compilers)
        layout.put(*(f"/opt/one/{name}" for name in below))
        layout.configure("/opt/one")
        for machine in MACHINES["amd64"].items():
            starts = layout.starts()[:1]
            compared = compare_starts(layout.folder, starts, CPUS["amd64"].platform, emulator=emulator, machine=machine)
            count += compared.verdicts
            wrong += [f"{machine[0]}, {below}: {difference}" for difference in compared.differences]
    with capsys.disabled():
        sys.stderr.write(f"\n{suite}, caches machine by machine: {Compared(count, wrong)}")
    assert count.total() > 30
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WHOLE if name.startswith("cc-")] if ALL else ["musl"])
def test_musl(name: str, tmp_path: Path, compilers: Compilers, capsys: pytest.CaptureFixture[str]) -> None:
    """musl of each CPU and suite, with programs that are linked with it."""
    cpu = CPUS[name.rpartition("-")[2]] if name in WHOLE else CPUS["amd64"]
    starts = musl_root(tmp_path / "root", cpu, name, compilers)
    compared = compare_starts(tmp_path / "root", starts, cpu.platform, emulator=cpu.emulator)
    with capsys.disabled():
        sys.stderr.write(f"\nmusl of {name}: {compared}")
    assert compared.count > 8
    assert not compared.differences, "\n".join(compared.differences)


@pytest.mark.slow
@pytest.mark.parametrize(
    "suite", ["bullseye-cc", "cc", "trixie-cc", "musl", "trixie-musl"] if ALL else ["trixie-cc", "musl"]
)
def test_odd_layouts(suite: str, tmp_path: Path, compilers: Compilers, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that are none, links, caches, paths and tokens, each met by the loaders of several releases."""
    of_kind = OF_MUSL if suite.endswith("musl") else OF_GLIBC
    count, wrong = 0, []
    for number, lay_out in enumerate((*COMMON, *of_kind)):
        for merged in (False, True) if ALL else (False,):
            layout = Layout(tmp_path / f"{number}{'-merged' * merged}", suite, compilers, merged=merged)
            compared = compare_starts(layout.folder, lay_out(layout), host_platform())
            count += compared.count
            wrong += [f"{lay_out.__name__}: {difference}" for difference in compared.differences]
    with capsys.disabled():
        sys.stderr.write(f"\n{suite}: {count} starts in odd layouts, {len(wrong)} disagreements")
    assert count > 100
    assert not wrong, "\n".join(wrong)


@cache
def stopping_of(name: str) -> Sequence[Path]:
    """The programs of a root, or a share of this machine's where it is "/", as copies that stop themselves.

    They are kept beside the roots, in which their folder becomes a mount point.
    """
    top = Path("/") if name == "/" else root(name)
    share = (1 if name.endswith(("/", "amd64")) else 3) if ALL else 16
    found = list(programs(top / place for place in ("usr/bin", "usr/sbin", "bin", "sbin", "usr/lib/apt")))[::share]
    made = [
        (path, FOLDER / "stopping" / (name.strip("/") or "machine") / str(number) / path.name)
        for number, path in enumerate(found)
    ]
    return [copy for path, copy in made if write_stopping(path, copy)]


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE if ALL else ("cc", "trixie-cc"))
def test_programs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs of other suites than the root's: what they need is there, missing, too old or too new."""
    debian = name.rpartition("-")[2] if name in WHOLE else "amd64"
    cpu = CPUS[debian]
    whole = [source for source in WHOLE if source.endswith(f"-{debian}") and not source.startswith("cc-")]
    sources = [*(whole if ALL else ()), *(["/"] if debian == "amd64" else ())]
    count, wrong = Counter[str](), []
    for source in sources:
        starts = [Start(f"/mnt{copy}", program=copy) for copy in stopping_of(source)]
        platform = cpu.platform if cpu.emulator else host_platform()
        compared = compare_starts(root(name), starts, platform, emulator=cpu.emulator, folders=[FOLDER / "stopping"])
        count += compared.verdicts
        wrong += [f"of {source}: {difference}" for difference in compared.differences]
    with capsys.disabled():
        sys.stderr.write(f"\n{name}: {Compared(count, wrong)}")
    assert count.total() > 20
    assert not wrong, "\n".join(wrong)
