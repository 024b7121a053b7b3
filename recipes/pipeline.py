"""The stages for one sample, one after the other.

Each function takes the values of the stage before and returns the next one. `Project` is what they share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recipes import compile as compiling
from recipes import errors
from recipes.compile.recipe import RECIPES, Recipe
from recipes.model import (
    Additions,
    BaseImage,
    Binary,
    Compression,
    Descriptor,
    ElfFacts,
    Expect,
    FileEntry,
    Image,
    ImageSettings,
    Layer,
    Limits,
    Platform,
    RunOutcome,
    RunStatus,
    Sample,
    SizeRow,
    Status,
    Verdict,
)
from recipes.oci.store import MAX_BLOB, Store
from recipes.package import assemble
from recipes.run.engine import Engine
from recipes.support import console
from recipes.support.disk_cache import cached
from recipes.support.workspace import Workspace, sweep_parts

if TYPE_CHECKING:
    from recipes.rootfs.root import RootFs


@dataclass(frozen=True, slots=True)
class Project:
    """Where things are kept, what is built for, and how much at once."""

    workspace: Workspace
    store: Store
    platform: Platform
    compression: Compression = "gzip"
    jobs: int = 1

    @classmethod
    def at(cls, root: Path, platform: str = "", compression: str = "gzip", jobs: int = 0, max_blob: int = 0) -> Project:
        workspace = Workspace(root.resolve())
        if compression not in ("gzip", "zstd", "none"):
            raise errors.unknown("compression", compression, ("gzip", "zstd", "none"))
        return cls(
            workspace,
            Store(workspace.images, max_blob=max_blob or MAX_BLOB),
            Platform.parse(platform) if platform else Platform.host(),
            compression,  # type: ignore[arg-type]  # checked just above
            jobs or processors(),
        )


def processors() -> int:
    """How many things to do side by side: the processors that this process may use."""
    return len(os.sched_getaffinity(0))


def build_binary(project: Project, sample: Sample, recipe: Recipe, *, echo: bool = True) -> tuple[Binary, ElfFacts]:
    """Compile and link, then look at the file: a static recipe whose result is not static is a GateFailed."""
    binary = compiling.build(sample, recipe, project.platform, project.workspace, jobs=project.jobs, echo=echo)
    facts = read_facts(binary, project.workspace)
    if recipe.static and not facts.linkage.is_static:
        raise errors.GateFailed(
            f"{sample.name}: recipe {recipe.name} promises a static program, but the file is {_why_not_static(facts)}",
            hint=_why_dynamic(sample),
        )
    return binary, facts


def read_facts(binary: Binary, workspace: Workspace) -> ElfFacts:
    """`read_elf`, remembered by the content of the file."""

    def ask() -> ElfFacts:
        from recipes.elf.facts import read_elf

        return read_elf(binary.path)

    return cached(workspace.cache / "facts", binary.sha256, ask, ElfFacts)


def package(
    project: Project,
    binary: Binary,
    facts: ElfFacts,
    base: BaseImage,
    root: Callable[[], RootFs] | None = None,
) -> tuple[Image, Verdict]:
    """Put `binary` on `base` with the data that it will ask for, and say what the verdict on the result is.

    The verdict on the base tells what is missing there; with that added, it is asked again.
    """
    additions, verdict = prepare(project, binary, facts, base, root)
    return make_image(project, binary, base, additions), verdict


def make_image(project: Project, binary: Binary, base: BaseImage, additions: Additions | None = None) -> Image:
    """The image in the store, tagged `<sample>:<recipe>-<base>`."""
    name = image_name(binary, base)
    return assemble.assemble(
        binary, base, store=project.store, name=name, additions=additions, compression=project.compression
    )


def join(project: Project, images: Sequence[Image]) -> Descriptor:
    """What stands for all of them: the only image's manifest, or an index of several, tagged `<sample>:latest`."""
    if len(images) == 1:
        return images[0].manifest
    return assemble.join(images, project.store, latest_name(images[0]))


def latest_name(image: Image) -> str:
    return f"{image.name.partition(':')[0]}:latest"


def prepare(
    project: Project, binary: Binary, facts: ElfFacts, base: BaseImage, root: Callable[[], RootFs] | None = None
) -> tuple[Additions, Verdict]:
    """What the image has to hold beside base and program, and the verdict on it all."""
    settings = settings_of(binary)
    own = _own_files(project, settings, binary.platform)
    additions = Additions(settings, own)
    verdict = judge_on(project, binary, facts, base, root, additions)
    if settings.needs is None and not (verdict.findings or settings.ca):
        return additions, verdict
    from recipes.package import runtime_data

    chosen = runtime_data.choose(verdict, settings)
    if not chosen:
        return additions, verdict
    below = open_root(project, base, own) if own or root is None else root()
    entries = runtime_data.files(chosen, settings, below)
    data = (assemble.data_layer(entries, project.store, project.compression),) if entries else ()
    settings = replace(settings, env=(*settings.env, *runtime_data.environment(chosen, settings)))
    additions = Additions(settings, (*own, *data), chosen)
    return additions, judge_on(project, binary, facts, base, root, additions)


def settings_of(binary: Binary) -> ImageSettings:
    return binary.sample.image if binary.sample else ImageSettings()


def _own_files(project: Project, settings: ImageSettings, platform: Platform) -> tuple[Layer, ...]:
    """The layer with the files that the sample brings along, and the probe where its health is asked by HTTP."""
    entries = settings.files
    if settings.healthcheck and settings.healthcheck.http:
        probe = compiling.build(PROBE, RECIPES["zig-static-small"], platform, project.workspace)
        entries = (*entries, FileEntry(settings.healthcheck.test[0], probe.path, 0o755))
    return (assemble.data_layer(entries, project.store, project.compression),) if entries else ()


PROBE = Sample("probe", Path(__file__).parent / "package/probe", "c++", (Path("probe.c"),))
"""The program that asks a server for its health; an image from scratch has no other."""


def image_name(binary: Binary, base: BaseImage) -> str:
    """`hello:gcc-static-scratch`; another platform than this machine's is part of the tag."""
    from recipes.oci.reference import docker_tag

    what = binary.sample.name if binary.sample else binary.path.name
    parts = [binary.recipe or "prebuilt", base.name]
    if binary.platform != Platform.host():
        parts.append(str(binary.platform))
    return docker_tag(f"{what}:{'-'.join(parts)}")


def judge_on(
    project: Project,
    binary: Binary,
    facts: ElfFacts,
    base: BaseImage,
    root: Callable[[], RootFs] | None = None,
    additions: Additions | None = None,
) -> Verdict:
    """What the file and the root say about a run, before there is one. Remembered by the content of both.

    `root` opens the base alone, where that has been done already; with additions their layers are above it.
    """
    additions = additions or Additions(settings_of(binary))
    settings = additions.settings
    env = (*base.env, *settings.env)

    def ask() -> Verdict:
        from recipes.verdict.judge import judge

        alone = root is not None and not additions.layers
        return judge(
            binary.path,
            facts,
            root() if root is not None and alone else open_root(project, base, additions.layers),
            project.platform,
            env=env,
            user=settings.user,
            workdir=settings.workdir,
            warnings=binary.warnings,
            commands=binary.commands,
            linker_map=binary.linker_map,
        )

    key = {
        "binary": binary.sha256,
        "root": [layer.diff_id for layer in (*base.layers, *additions.layers)],
        "platform": str(project.platform),
        "env": env,
        "user": settings.user,
        "workdir": settings.workdir,
        "build": [binary.warnings, [(command.argv, command.env, str(command.cwd)) for command in binary.commands]],
    }
    return cached(project.workspace.cache / "verdicts", key, ask, Verdict)


def refuse_failing(verdict: Verdict, image: Image) -> None:
    """Raises: GateFailed for an image that is certain not to start."""
    if verdict.status is Status.FAILS:
        raise errors.GateFailed(
            f"{image.name} would not start: {verdict.reason}",
            hint="`invoke verify` says why and what would help; --force pushes it anyway",
        )


def open_root(project: Project, base: BaseImage, more: tuple[Layer, ...] = ()) -> RootFs:
    """The base's layers, and `more` above them, as one root file system, through the index that is cached by layer."""
    from recipes.rootfs.root import RootFs
    from recipes.run.roots import layer_sources

    cache = project.workspace.cache / "roots"
    sweep_parts(cache)
    return RootFs.from_layers(layer_sources(project.store, (*base.layers, *more)), cache)


def try_run(project: Project, image: Image, engine: Engine) -> RunOutcome:
    """Run the image as its sample asks; one for another CPU through an emulator, if this machine has one."""
    from recipes.run import emulation

    sample = image.binary.sample
    expect = sample.expect if sample else Expect()
    limits = Limits() if expect.serves is None else Limits(seconds=expect.serves)
    args, stdin = (sample.args, sample.stdin.encode("utf-8", "surrogateescape")) if sample else ((), b"")
    if emulation.runs_by_itself(image.platform):
        return engine.run(image, args=args, stdin=stdin, limits=limits)
    from recipes.run.local import LocalEngine

    emulator = emulation.emulator(image.platform)
    if emulator is None:
        reason = f"this machine cannot run programs for {image.platform}, and has no QEMU for them"
        return RunOutcome(engine.name, RunStatus.NOT_RUN, reason=reason)
    # An engine that asks the kernel can only say `exec format error`; ours starts the emulator itself.
    local = LocalEngine(project.workspace, project.store)
    return local.run(image, args=args, stdin=stdin, limits=limits, emulator=emulator)


def build_static(
    project: Project, sample: Sample, recipe: Recipe, base: BaseImage, engine: Engine | None, *, run: bool = True
) -> SizeRow:
    """The main job for one sample: build, prove, package, load where there is a Docker Engine, run."""
    binary, facts = build_binary(project, sample, recipe)
    return package_and_run(project, binary, facts, base, engine, run=run)


def package_and_run(
    project: Project, binary: Binary, facts: ElfFacts, base: BaseImage, engine: Engine | None, *, run: bool = True
) -> SizeRow:
    """What `build_static` does with a program once it is there."""
    image, verdict = package(project, binary, facts, base)
    project.store.tag(latest_name(image), image.manifest, platform=image.platform)
    for each in image.additions.runtime_data:
        console.note(f"added {each.need}: {each.reason}")
    if engine is not None:
        engine.load(image)
    outcome = try_run(project, image, engine) if engine is not None and run else None
    return SizeRow(image, facts, verdict, outcome)


def take_binary(project: Project, sample: Sample) -> tuple[Binary, ElfFacts]:
    """A prebuilt program, kept by its content: the file may change once we have looked at it.

    Raises: NotElf, TruncatedElf, BadInput.
    """
    binary = compiling.keep_prebuilt(sample, project.platform, project.workspace)
    return binary, read_facts(binary, project.workspace)


def smaller_hint(project: Project, row: SizeRow) -> str:
    """By how much another recipe is smaller, as far as it was measured on this machine; "" where none is."""
    binary = row.image.binary
    for other in compiling.smaller(binary, project.workspace):
        if read_facts(other, project.workspace).linkage.is_static:
            less = binary.size - other.size
            return f"{other.recipe} is {less:,} bytes smaller (measured: {other.size:,} against {binary.size:,})"
    return ""


def _why_dynamic(sample: Sample) -> str:
    if sample.build in ("make", "autotools"):
        return (
            "the recipe's compiler is given as CC and CXX, and adds what static linking takes: look in the Makefile "
            "for a compiler that is called by another name, for -shared, -Wl,-Bdynamic or a .so by its path"
        )
    if sample.build in ("cmake", "meson"):
        return f"look in the {sample.build} project for what links a shared library, and for an option against it"
    return "look for a flag or a library of the sample that asks for dynamic linking"


def _why_not_static(facts: ElfFacts) -> str:
    evidence = []
    if facts.interpreter:
        evidence.append(f"it names the interpreter {facts.interpreter}")
    if facts.needed:
        evidence.append(f"it needs {', '.join(facts.needed)}")
    return f"{facts.linkage}: {' and '.join(evidence) or 'it is not marked as a program (no DF_1_PIE)'}"
