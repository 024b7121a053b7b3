"""A program and a root → Verdict, before anything runs.

exec's rules come first (CPU, kind of file, interpreter), then the loader's, then what the program misses once it runs.
Only what is certain makes a verdict `fails`; what the file cannot tell never does.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recipes.elf.markers import Traits
from recipes.model import Command, ElfFacts, Environment, Finding, Level, Library, Platform, Status, Verdict
from recipes.rootfs.root import RootFs
from recipes.verdict import startup
from recipes.verdict.callers import Callers
from recipes.verdict.hazards import find_hazards
from recipes.verdict.linkermap import asked_for
from recipes.verdict.subject import Root, Subject

_ORDER = (Level.CERTAIN, Level.NEEDS_DATA, Level.POSSIBLE)


def judge(
    traits: Traits,
    facts: ElfFacts,
    root: Root,
    platform: Platform,
    *,
    env: Environment = (),
    user: str = "",
    warnings: tuple[str, ...] = (),
    commands: tuple[Command, ...] = (),
    linker_map: Path | None = None,
    entry: str = "/app",
    workdir: str = "/",
    argv0: str = "",
) -> Verdict:
    """Whether a program, put into `root` as `entry`, will start there; what it will miss later; and the fix.

    `env`, `user` and `workdir` are the image's, `argv0` is what the program is called there, if not `entry`.
    `warnings` and `linker_map` are the linker's, `commands` those that built the file: they know what the file alone
    cannot tell.
    """
    asked = asked_for(linker_map) if linker_map else {}
    account = startup.account_of(root, user)
    before = (account,) if isinstance(account, Finding) else ()
    seen = root if isinstance(account, Finding) else root.seen_by(account)
    subject = Subject(traits, facts, seen, platform, dict(env), user, warnings, commands, asked, entry, workdir, argv0)
    refused = startup.refused_by_kernel(subject) or startup.out_of_reach(subject)
    if refused is not None:
        return _verdict((*before, refused), known=refused.level is Level.CERTAIN)
    loading = startup.load(subject)
    if isinstance(seen, RootFs):
        subject = replace(subject, callers=Callers(seen, traits.dynamic, loading.libraries))
    doubts = (startup.closed_top(subject), startup.cpu_level(subject))
    findings = (*before, *loading.findings, *(finding for finding in doubts if finding), *find_hazards(subject))
    return _verdict(findings, loading.libraries, known=loading.known)


def _verdict(findings: tuple[Finding, ...], libraries: tuple[Library, ...] = (), *, known: bool) -> Verdict:
    ordered = tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.level)))
    if any(finding.level is Level.CERTAIN for finding in findings):
        return Verdict(Status.FAILS, ordered, libraries)
    return Verdict(Status.RUNS if known else Status.UNKNOWN, ordered, libraries)
