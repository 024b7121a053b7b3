"""Steps about images: FROM scratch, what an interpreter carries along, looking inside, another CPU."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recipes import pipeline
from recipes.architecture import architecture as row_of
from recipes.compile.recipe import RECIPES
from recipes.errors import Unavailable
from recipes.package.dockerfile import render
from recipes.workflows.walkthrough.stage import GREETING, Stage, other_platform
from recipes.workflows.walkthrough.step import Found, agree, told

STATIC = RECIPES["gcc-static"]
_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_TRACER = "mmdebstrap:extract:busybox-static,strace"


@told("FROM scratch")
def from_scratch(stage: Stage) -> Found:
    """An image is files and a few settings. With a program that needs no other file, the base can be empty: there is
    no shell, no package manager and nothing to patch, and the image is as large as the program. The entry point has
    to be in exec form, because the other form needs a shell, and the user has to be a number, because there is no
    /etc/passwd."""
    program = stage.build("hello", STATIC)
    trial = stage.try_on(program, stage.base("scratch"))
    image = trial.image
    return Found(
        did="the static program alone in an image",
        predicted=f"{trial.predicted}; image and program have {program.size:,} bytes",
        observed=f"{trial.observed}; image {image.image_bytes:,} bytes, download {image.download_bytes:,}",
        agrees=agree((trial.agrees, trial.observed == "runs", image.image_bytes == program.size)),
        listing=render(image),
    )


@told("what an interpreted language must carry")
def interpreted(stage: Stage) -> Found:
    """One line of Python needs its interpreter, and that needs its libraries and its modules. The kernel knows the
    interpreter from the first line of the script; nothing of it can be left out by a linker."""
    static = stage.build("hello", STATIC)
    base = stage.base("deb-python")
    root = stage.root(base)
    python = next((path for path in _PYTHONS if root.exists(path)), None)
    if python is None:
        raise Unavailable("deb-python has no python3")
    script = stage.folder / "hello.py"
    script.write_text(f"#!{python}\nprint({GREETING.strip()!r})\n")
    trial = stage.try_script(script, static, base)
    size = trial.image.image_bytes
    return Found(
        did="a script of one line on deb-python",
        predicted=trial.predicted,
        observed=trial.observed,
        agrees=trial.agrees and trial.outcome.stdout == GREETING,
        table=[
            ("what", "bytes of the image"),
            ("the script on deb-python", f"{size:,}"),
            ("the static program on scratch", f"{static.size:,}"),
            ("ratio", f"{size / static.size:.1f}×"),
        ],
    )


@told("looking inside")
def looking_inside(stage: Stage) -> Found:
    """An empty image has no tools. For troubleshooting the same program, byte for byte, goes on a base that has a
    shell and strace: what it asks of the kernel there is what it asks everywhere. A static program opens no
    library."""
    program = stage.build("hello", STATIC)
    base = dataclasses.replace(stage.base(_TRACER), name="deb-strace")
    root = stage.root(base)
    tracer = next((path for path in ("/usr/bin/strace", "/bin/strace") if root.exists(path)), None)
    if tracer is None:
        raise Unavailable("the base has no strace")
    outcome = stage.run_through(program, base, tracer)
    calls = [" ".join(line.split()) for line in outcome.stderr.splitlines() if "(" in line]
    writes = [line for line in calls if line.startswith("write(1,")]
    opened = [line for line in calls if line.startswith(("open(", "openat("))]
    told_by = f"{len(calls)} system calls, {len(opened)} files opened, {writes[0] if writes else 'nothing written'}"
    return Found(
        did="strace /app on a base with busybox and strace",
        predicted="it writes 13 bytes to descriptor 1 and opens no file",
        observed=told_by if calls else outcome.reason or outcome.stderr.strip() or str(outcome.status),
        agrees=None if not calls else outcome.stdout == GREETING and not opened and len(writes) == 1,
        table=[("the last system calls",), *((line,) for line in calls[-4:])],
    )


@told("another CPU")
def another_cpu(stage: Stage) -> Found:
    """A program is for one kind of CPU, and the file says which (e_machine). The kernel refuses all others, unless an
    emulator is registered for them: then the same image runs on the developer's machine and nowhere else."""
    mine = stage.platform
    other = other_platform(mine)
    program = stage.build("hello-go", RECIPES["go-static"], other)
    base = stage.base("scratch")
    verdict = pipeline.judge_on(stage.project, program, base)
    trial = stage.try_on(program, base)
    emulated = trial.observed == "runs" and _is_emulated(other.architecture)
    return Found(
        did=f"hello-go for {other} on {mine}",
        predicted=verdict.reason,
        observed="runs, by an emulator that this machine has registered" if emulated else trial.observed,
        agrees=None if emulated else trial.agrees,
        table=[("the file is for", "the machine is"), (program.facts.machine, mine.architecture)],
    )


def _is_emulated(architecture: str) -> bool:
    """Source: Linux, Documentation/admin-guide/binfmt-misc.rst."""
    return Path(f"/proc/sys/fs/binfmt_misc/qemu-{row_of(architecture).qemu}").exists()
