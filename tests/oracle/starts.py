"""Start programs for real, as far as their first instruction, and say where that and our verdicts differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGBUS, SIGSEGV

from recipes.architecture import Kind
from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.loader.explain import explain
from recipes.loader.glibcpaths import absolute
from recipes.loader.loading import Loading
from recipes.model import Environment, Level, Platform, Status
from recipes.rootfs.root import RootFs
from recipes.verdict.judge import judge
from tests.oracle.compare import Answered, WithMounts, ask

_EXEC_CODES = ("interpreter-missing", "interpreter-broken")
_SIGNAL = re.compile(r"\(exit code (\d+)\)$")
_LINE_NUMBER = re.compile(r"(?<=\.c: )\d+: ")
_EMULATOR = re.compile(r"qemu: uncaught target signal \d+ .*|qemu-[^:]*: .*")


@dataclass(frozen=True)
class Start:
    """A program that stops itself, where it stands in the root, and what it is started with."""

    path: str
    env: Environment = ()
    workdir: str = "/"
    program: Path | None = None
    """on this machine, if not at `path` beneath the root"""

    def __str__(self) -> str:
        settings = "".join(f"{name}={value!r} " for name, value in self.env)
        return f"{settings}{self.path}{f' in {self.workdir}' if self.workdir != '/' else ''}"


@dataclass
class Compared:
    """How many starts had which verdict, and every difference in words."""

    verdicts: Counter[str]
    differences: list[str]

    @property
    def count(self) -> int:
        return self.verdicts.total()

    def __str__(self) -> str:
        verdicts = "; ".join(f"{count} {status}" for status, count in sorted(self.verdicts.items()))
        return f"{self.count} starts ({verdicts}), {len(self.differences)} disagreements"


def compare_starts(
    folder: Path,
    starts: Sequence[Start],
    platform: Platform,
    *,
    emulator: str = "",
    folders: Sequence[Path] = (),
    machine: tuple[str, Kind] | None = None,
) -> Compared:
    """What our rules say of each start in the root `folder`, against what happens.

    `folders` of this machine are shown beneath /mnt; `emulator` is the program that runs those of another CPU, or of
    another `machine`: its own name for that, and what our rules call it.
    """
    shown = (*folders, *([Path(emulator).parent] if emulator else ()))
    root = RootFs(WithMounts(folder, folders))
    model = ("-cpu", machine[0]) if machine else ()
    through = (f"/mnt{emulator}", *model, "-0") if emulator else ()
    kind = machine[1] if machine else None
    requests = [((*through, *((start.path,) if emulator else ()), start.path), dict(start.env), start.workdir)
                for start in starts]  # fmt: skip
    compared = Compared(Counter(), [])
    for start, answer in zip(starts, ask(folder, shown, requests), strict=True):
        program = start.program or Path(f"{folder}{start.path}")
        found = list(_differences(root, program, start, answer, platform, bool(emulator), kind, compared.verdicts))
        compared.differences += [f"{folder.name}: {start}: {difference}" for difference in found]
    return compared


def _differences(
    root: RootFs,
    program: Path,
    start: Start,
    answer: Answered,
    platform: Platform,
    emulated: bool,
    kind: Kind | None,
    verdicts: Counter[str],
) -> Iterator[str]:
    traits, facts = examine(program), read_elf(program)
    settings = {"env": start.env, "workdir": start.workdir}
    verdict = judge(traits, facts, root, platform, entry=start.path, **settings)  # type: ignore[arg-type]
    loading = explain(traits.dynamic, root, platform=platform, path=start.path, kind=kind, **settings)  # type: ignore[arg-type]
    if kind is not None and bool(loading.problems) is (answer.mapped is not None):
        yield f"on this machine it {'starts' if answer.mapped else 'ends'}, our rules have {loading.problems}"
    known = verdict.status is not Status.UNKNOWN
    verdicts[verdict.status if known else "unknown, ends" if answer.mapped is None else "unknown, starts"] += 1
    said = [line for line in answer.text.splitlines() if not (emulated and _EMULATOR.fullmatch(line))]
    if answer.mapped is not None:
        if verdict.status is Status.FAILS:
            yield f"it starts, we say: {verdict.reason}"
        else:
            yield from _library_differences(
                root, loading, start.path, facts.interpreter or "", start.workdir, answer.mapped
            )
            if loading.warnings != tuple(said):
                yield f"the loader warns {said}, we say it warns {list(loading.warnings)}"
    elif verdict.status is Status.RUNS:
        yield f"we say it runs, it ends with {answer.code}: {said}"
    elif verdict.status is Status.FAILS:
        certain = [finding.message for finding in verdict.findings if finding.level is Level.CERTAIN]
        yield from _message_differences(loading, certain, answer.code, said, emulated)


def _message_differences(
    loading: Loading, certain: Sequence[str], code: int, said: Sequence[str], emulated: bool
) -> Iterator[str]:
    problem = loading.problems[0] if loading.problems else None
    if problem is not None and problem.code in _EXEC_CODES and (emulated or code == -1):
        # The emulator has words of its own for what the kernel refuses, and exec's are not in a file.
        ours, theirs = problem.message.rpartition(": ")[2], " ".join(said).lower()
        if not emulated and ours != theirs:
            yield f"exec: {theirs}, we say: {ours}"
        return
    if problem is not None and problem.code == "interpreter-broken" and code in (-SIGSEGV, -SIGBUS) and not said:
        return  # how far a loader comes that is cut off depends on where that is: one of the two
    if signal := _SIGNAL.search(certain[0]):
        if code != 128 - int(signal[1]) or said != list(loading.warnings):
            yield f"we say: {certain[0]}, it ends with {code}: {said}"
        return
    messages = list(_written(loading)) or list(certain)
    predicted = [_LINE_NUMBER.sub("", line) for line in (*loading.warnings, *messages)]
    written = [_LINE_NUMBER.sub("", line) for line in said]
    if predicted != written:
        yield f"the loader says {written}, we say {predicted}"
    if certain[0] not in messages:
        yield f"the verdict's first message is {certain[0]!r}, the loader's {messages}"


def _written(loading: Loading) -> Iterator[str]:
    """The lines that a loader writes of the problems that it has: musl all, glibc the first, or all about versions."""
    for problem in loading.problems:
        first = loading.problems[0]
        if loading.loader == "musl" or problem is first or problem.code == first.code == "version-missing":
            yield problem.message


def _library_differences(
    root: RootFs, loading: Loading, program: str, interpreter: str, workdir: str, mapped: Iterable[str]
) -> Iterator[str]:
    """Of the files that are mapped when the program stops, and those that we say are loaded."""
    loader = root.resolve(absolute(interpreter, workdir))  # it is there whether a library needs it or not
    named = {absolute(library.path, workdir) for library in loading.libraries if library.path is not None}
    ours = {root.resolve(path) or path for path in named} - {loader}
    mapped_files = {path for path in mapped if root.is_file(path)}
    theirs = {path for path in mapped_files if path in ours or root.read(path, 0, 4) == b"\x7fELF"}
    theirs -= {loader, program}
    if ours != theirs:
        yield f"only we load {sorted(ours - theirs)}, only the loader {sorted(theirs - ours)}"
