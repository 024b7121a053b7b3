"""A file that starts with `#!` → Verdict: what the kernel makes of its first line, and what env then starts.

Source: Linux, fs/binfmt_script.c and fs/exec.c.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace

from recipes.elf.segments import Reader
from recipes.loader.glibcpaths import absolute
from recipes.model import Environment, Finding, Level, Platform, Status, Verdict
from recipes.verdict.envline import asked_of_env, complaint, is_busybox, is_env
from recipes.verdict.launch import Launch, fails, judge_program, launch_in, named_as, not_followed
from recipes.verdict.subject import Root

_MOST_SCRIPTS = 5  # one more is ELOOP
_LONGEST_LINE = 255


def judge_script(
    root: Root,
    line: bytes,
    script: str,
    platform: Platform,
    *,
    env: Environment = (),
    user: str = "",
    workdir: str = "/",
) -> Verdict:
    """Whether the kernel will start `script`, whose first line is `line`, once it is in that root."""
    launch = launch_in(root, platform, env=env, user=user, workdir=workdir)
    return launch if isinstance(launch, Verdict) else follow_script(launch, line, script)


def follow_script(launch: Launch, line: bytes, script: str, depth: int = 0) -> Verdict:
    """The verdict on the script's interpreter, and where that is env on what it starts.

    `depth` is how many scripts have led here by way of env.
    """
    path = script
    for _ in range(_MOST_SCRIPTS):
        refused = _refused(launch, script, path, line)
        if refused is not None:
            return refused
        path, argument = absolute(interpreter_of(line), launch.workdir), _argument(line)
        line = first_line(launch.root.reader(path))
        if not line.startswith(b"#!"):
            verdict = judge_program(launch, path)
            if is_env(path) and verdict.status is not Status.FAILS:
                return _through_env(launch, script, path, argument, depth)
            return not_followed(named_as(script, path, verdict), f"{script} is a script for {path}")
    return fails(
        "script-loop",
        f"{script} is a script for a script, nested too deep",
        f"exec {script}: too many levels of symbolic links",
        "use a program as the interpreter",
    )


def first_line(reader: Reader) -> bytes:
    """As much of the first line as the kernel looks at, without its end: one byte too many where it is longer."""
    return reader.read_at(0, _LONGEST_LINE + 1).partition(b"\n")[0].partition(b"\0")[0]


def _refused(launch: Launch, script: str, path: str, line: bytes) -> Verdict | None:
    """What the kernel has against the interpreter that `path`, reached from `script`, names."""
    root, interpreter = launch.root, absolute(interpreter_of(line), launch.workdir)
    if not interpreter_of(line):
        evidence = f"{path} starts with #! and names no interpreter"
        return fails("not-a-program", evidence, f"exec {script}: exec format error", "name one, with its whole path")
    if len(line) > _LONGEST_LINE and not re.search(rb"[ \t]", line[2:_LONGEST_LINE].lstrip(b" \t")):
        evidence = f"{path} starts with #! and a name that does not end within {_LONGEST_LINE} bytes"
        return fails("not-a-program", evidence, f"exec {script}: exec format error", "give it a shorter path")
    barrier = root.barrier(interpreter)
    if barrier:
        evidence = f"{path} starts with #!{interpreter}, and {barrier} keeps the image's user from it"
        return fails("not-executable", evidence, f"exec {script}: permission denied", "give the folder mode 0755")
    if root.is_loop(interpreter):
        evidence = f"{path} starts with #!{interpreter}, which is a loop of links"
        message = f"exec {script}: too many levels of symbolic links"
        return fails("script-interpreter-missing", evidence, message, "correct the links")
    if not root.exists(interpreter):
        fix = f"add {interpreter}, or make the entry point a program"
        if interpreter.endswith("\r"):
            fix = "end its lines with LF alone: the kernel takes the CR for a part of the name"
        evidence = f"{path} starts with #!{interpreter!r}, which the image lacks"
        return fails("script-interpreter-missing", evidence, f"exec {script}: no such file or directory", fix)
    if not root.may_execute(interpreter):
        evidence = f"{path} starts with #!{interpreter}, which may not be executed"
        return fails("not-executable", evidence, f"exec {script}: permission denied", "give it mode 0755")
    return None


def interpreter_of(line: bytes) -> str:
    """What a script's first line names, as it is written; "" where that is nothing."""
    words = line[2:].strip(b" \t").split(b" ", 1)[0].split(b"\t", 1)
    return words[0].decode(errors="surrogateescape")


def _argument(line: bytes) -> str:
    """All behind the interpreter, as the one argument that the kernel makes of it."""
    words = re.split(rb"[ \t]+", line[2:_LONGEST_LINE].strip(b" \t"), maxsplit=1)
    return words[1].decode(errors="surrogateescape") if len(words) > 1 else ""


def _through_env(launch: Launch, script: str, interpreter: str, argument: str, depth: int) -> Verdict:
    """What becomes of the program that env is to start for a script."""
    busybox = is_busybox(launch.root, interpreter)
    if busybox and argument.startswith("-S"):
        evidence = f"{script} starts with #!{interpreter} {argument}, and busybox's env does not know -S"
        message = f"{interpreter}: invalid option -- 'S'"
        return fails("script-option-unknown", evidence, message, "name the interpreter with its whole path")
    asked = asked_of_env(argument)
    if asked is None or depth == _MOST_SCRIPTS:
        finding = Finding(
            level=Level.POSSIBLE,
            code="not-followed",
            evidence=f"{script} starts with #!{interpreter} {argument}: what that starts could not be determined",
            message="depends on that line",
            fix="name the interpreter with its whole path",
        )
        return Verdict(Status.UNKNOWN, (finding,))
    return started_by_env(launch, script, interpreter, asked, busybox=busybox, is_script=True, depth=depth)


def started_by_env(
    launch: Launch,
    asker: str,
    called: str,
    asked: tuple[Environment, str],
    *,
    busybox: bool,
    is_script: bool = False,
    depth: int = 0,
) -> Verdict:
    """The verdict on what env starts for `asker`; `called` is env's own name, which begins its messages."""
    settings, name = asked
    launch = replace(launch, env=(*launch.env, *settings))
    root = launch.root
    paths = [absolute(name, launch.workdir)] if "/" in name else _candidates(name, launch)
    failed: Verdict | None = None
    denied = False
    for path in paths:
        if not root.may_execute(path):
            denied |= root.exists(path) or bool(root.barrier(path))
            continue
        line = first_line(root.reader(path))
        if line.startswith(b"#!"):
            verdict = follow_script(launch, line, path, depth + 1)
        else:
            verdict = judge_program(launch, path)
        if verdict.status is not Status.FAILS:
            return not_followed(verdict, f"{asker} is a script for {path}") if is_script else verdict
        failed = failed or verdict
        if not verdict.reason.endswith(": no such file or directory"):
            break  # only for want of a file does it look on
    if failed is None:
        why = "Permission denied" if denied else "No such file or directory"
        evidence = f"{asker} asks {called} for {name}, which is in no folder of PATH" + (
            " that may be executed" if denied else ""
        )
        message = complaint(called, name, why, busybox=busybox)
        return fails("script-interpreter-missing", evidence, message, f"add {name}, or make the entry point a program")
    return _told_by_env(failed, called, name, busybox=busybox)


def _told_by_env(failed: Verdict, called: str, name: str, *, busybox: bool) -> Verdict:
    """The same findings, in env's words where it tells what the kernel said."""
    findings = []
    for finding in failed.findings:
        kernel, _, why = finding.message.rpartition(": ")
        message = finding.message
        if kernel.startswith("exec "):
            message = complaint(called, name, why.capitalize(), busybox=busybox)
        # A C library's execvp may hand what is not a program to /bin/sh.
        level = Level.POSSIBLE if finding.code == "not-a-program" else finding.level
        findings.append(replace(finding, level=level, message=message))
    certain = any(finding.level is Level.CERTAIN for finding in findings)
    return replace(failed, status=Status.FAILS if certain else Status.UNKNOWN, findings=tuple(findings))


def _candidates(name: str, launch: Launch) -> list[str]:
    return [posixpath.join("/", launch.workdir, folder, name) for folder in launch.search_path.split(":")]
