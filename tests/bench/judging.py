"""Reading ELF files and judging them against bases: one program, and a thousand. Nothing is cached here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from recipes import errors, pipeline
from recipes.bases.resolve import resolve
from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.model import BaseImage, Command, Platform, Program
from recipes.support import shell
from recipes.verdict.judge import judge
from tests.bench.inputs import Bench, big_program
from tests.bench.measure import Contender, Goal, Row, Skipped, Timing, by_turns, timed_row
from tests.programs import program_of

BASES = ("scratch", "deb-static", "deb-cc", "deb-musl", "deb-busybox", "deb-slim")
WHOLE_BASE = "deb-slim"
VERIFY_LIMIT = 0.020


def rows(bench: Bench) -> Iterator[Row | Skipped]:
    yield from _reading(bench)
    project = pipeline.Project.at(bench.project)
    try:
        bases = [resolve(name, Platform.host(), project.workspace, project.store) for name in BASES]
    except errors.RecipeError as error:
        yield Skipped("verdicts on assembled bases", error.message)
        return
    yield _one(bench, project, bases[BASES.index(WHOLE_BASE)])
    yield from _many(bench, project, bases)


def _reading(bench: Bench) -> Iterator[Row | Skipped]:
    """Ours in a running process; the peers are small programs, so that their start hardly counts."""
    what, big = "read a 200 MB program", str(big_program(bench.fresh("read")))
    contenders = [Contender("ours", lambda: read_elf(Path(big)))]
    for name, options in (("readelf", ("-ldW",)), ("ldd", ())):
        path = shutil.which(name)
        if path is None:
            yield Skipped(f"{what}: {name}", f"{name} is not installed")
            continue
        argv = (path, *options, big)
        # ldd ends with 1 for a static program: that is its answer, not a failure.
        contenders.append(Contender(" ".join((name, *options)), lambda argv=argv: shell.run(Command(argv))))  # type: ignore[misc]
    ours, *others = by_turns(contenders, bench.runs(15))
    for contender, timing in zip(contenders[1:], others, strict=True):
        yield timed_row(what, ours, timing, contender.name, None)


def _one(bench: Bench, project: pipeline.Project, base: BaseImage) -> Row:
    """One verdict from a file and a base whose index is cached, as `verify` needs it after start-up."""
    program = program_of(Path(shutil.which("ls") or "/bin/ls").resolve())

    def verify() -> None:
        judge(examine(program.path), read_elf(program.path), pipeline.open_root(project, base), Platform.host())

    (ours,) = by_turns([Contender("ours", verify)], bench.runs(15))
    limit = f"{VERIFY_LIMIT * 1000:.0f} ms"
    return Row(f"verify ls on {base.name}, cached", str(ours), limit, ours.median / VERIFY_LIMIT, Goal(1))


def _many(bench: Bench, project: pipeline.Project, bases: list[BaseImage]) -> Iterator[Row]:
    programs = [program_of(path) for path in _programs(1000)]
    quarter = programs[::4]

    def judge_all(some: list[Program]) -> None:
        roots = [pipeline.open_root(project, base) for base in bases]
        for program in some:
            facts = read_elf(program.path)
            for root in roots:
                judge(examine(program.path), facts, root, Platform.host())

    whole, part = by_turns(
        [
            Contender("all", lambda: judge_all(programs)),
            Contender("a quarter", lambda: judge_all(quarter)),
        ],
        bench.runs(3),
    )
    times = len(programs) / len(quarter)
    scaled = Timing(tuple(seconds * times for seconds in part.seconds))
    what = f"{len(programs)} programs on {len(bases)} bases"
    yield timed_row(what, whole, scaled, f"{len(quarter)} programs, times {times:g}", Goal(1.2))


def _programs(count: int) -> list[Path]:
    found: dict[Path, None] = {}
    for folder in (Path("/usr/bin"), Path("/usr/sbin"), Path("/usr/libexec")):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and len(found) < count:
                with path.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        found[path] = None
    return list(found)
