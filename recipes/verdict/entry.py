"""A whole image's entry point → Verdict: found, allowed, a script or a program, and then judged like any program.

Source: Linux, fs/binfmt_script.c and fs/exec.c; runc's messages as Docker shows them.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import replace

from recipes.elf.facts import facts_of
from recipes.elf.markers import examine_reader
from recipes.elf.segments import Reader
from recipes.errors import NotElf, TruncatedElf
from recipes.loader.glibcpaths import absolute
from recipes.model import Environment, Finding, Level, Platform, Status, Verdict
from recipes.verdict.applets import missing_applet
from recipes.verdict.envline import asked_by_words, asked_of_env, complaint, is_busybox, is_env
from recipes.verdict.judge import judge
from recipes.verdict.loadercall import asked_of_loader, complaint_of_loader, is_its_own, is_loader
from recipes.verdict.shells import complaint_of_shell, is_shell, script_of
from recipes.verdict.startup import account_of
from recipes.verdict.subject import Root

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_SCRIPTS = 5  # one more is ELOOP
_LONGEST_LINE = 255


def judge_entry(
    root: Root,
    argv: tuple[str, ...],
    platform: Platform,
    *,
    env: Environment = (),
    user: str = "",
    workdir: str = "/",
) -> Verdict:
    """Whether an image whose root is `root` will start `argv` (its entry point and command), and what it will miss."""
    if not argv:
        return _fails("no-command", "neither entry point nor command in the image", "no command specified", "set one")
    account = account_of(root, user)
    if isinstance(account, Finding):
        return Verdict(Status.FAILS, (account,))
    whole, root = root, root.seen_by(account)
    found = _find(root, argv[0], _search_path(env), workdir)
    if found is None:
        return _out_of_reach(root, argv[0], workdir) or _missing(root, argv, workdir)
    path = absolute(found, workdir)
    if ".." not in path.split("/"):  # which links may lead elsewhere
        path = posixpath.normpath(path)
    if "/" not in argv[0] and not found.startswith("/"):
        evidence = f"{path} is found in the folder {posixpath.dirname(found) or '.'!r} of PATH, which is relative"
        message = f'exec: "{argv[0]}": cannot run executable found relative to current directory'
        return _fails("entry-relative", evidence, message, "name it with its whole path")
    if not root.may_execute(path):
        kind = "a folder" if root.is_folder(path) else f"a file with mode {root.mode(path):04o}"
        message = f'exec: "{argv[0]}": permission denied'
        return _fails("not-executable", f"{path} is {kind}", message, "give it mode 0755")
    line = first_line(root.reader(path))
    if line.startswith(b"#!"):
        if not root.may_read(path):
            evidence = f"{path} has mode {root.mode(path):04o}, and its interpreter has to read it"
            return _fails("script-unreadable", evidence, f"{path}: Permission denied", "give it mode 0755")
        verdict = judge_script(whole, line, path, platform, env=env, user=user, workdir=workdir)
        return _named_as(found, path, verdict)
    verdict = _named_as(found, path, _judge_program(whole, path, platform, env, user, workdir, argv))
    if is_loader(path) and verdict.status is not Status.FAILS:
        return _loaded(whole, root, path, argv, platform, env, user, workdir) or verdict
    if is_env(path) and verdict.status is not Status.FAILS:
        asked = asked_by_words(argv[1:])
        if asked is not None:
            settings = (asked, platform, env, user, workdir)
            return _started_by_env(whole, root, "the entry point", argv[0], *settings, busybox=is_busybox(root, path))
        if any(word.startswith("-") for word in argv[1:]):
            return _not_followed(verdict, f"the entry point is {shlex.join(argv)}")
    if not is_shell(path) or verdict.status is Status.FAILS:
        return verdict
    if argv[1:2] == ("-c",):
        return _not_followed(verdict, f"the entry point hands {shlex.join(argv[2:3])} to a shell")
    return _read_by_shell(root, path, argv, workdir, verdict)


def judge_script(
    root: Root,
    line: bytes,
    script: str,
    platform: Platform,
    *,
    env: Environment = (),
    user: str = "",
    workdir: str = "/",
    depth: int = 0,
) -> Verdict:
    """Whether the kernel will start `script`, whose first line is `line`: its interpreter decides, in that root.

    Where that is env, what it starts decides. `depth` is how many scripts have led here by way of env.
    """
    account = account_of(root, user)
    if isinstance(account, Finding):
        return Verdict(Status.FAILS, (account,))
    whole, root = root, root.seen_by(account)
    path = script
    for _ in range(_MOST_SCRIPTS):
        refused = _refused(root, script, path, line, workdir)
        if refused is not None:
            return refused
        path, argument = absolute(_interpreter(line), workdir), _argument(line)
        line = first_line(root.reader(path))
        if not line.startswith(b"#!"):
            verdict = _judge_program(whole, path, platform, env, user, workdir)
            if is_env(path) and verdict.status is not Status.FAILS:
                return _through_env(whole, root, script, path, argument, platform, env, user, workdir, depth)
            return _not_followed(_named_as(script, path, verdict), f"{script} is a script for {path}")
    return _fails(
        "script-loop",
        f"{script} is a script for a script, nested too deep",
        f"exec {script}: too many levels of symbolic links",
        "use a program as the interpreter",
    )


def _named_as(asked: str, path: str, verdict: Verdict) -> Verdict:
    """The kernel's complaints speak of what it was asked to start, not of what that led to."""
    findings = (
        replace(finding, message=finding.message.replace(f"exec {path}:", f"exec {asked}:"))
        for finding in verdict.findings
    )
    return replace(verdict, findings=tuple(findings))


def first_line(reader: Reader) -> bytes:
    """As much of the first line as the kernel looks at, without its end."""
    return reader.read_at(0, _LONGEST_LINE).partition(b"\n")[0].partition(b"\0")[0]


def _refused(root: Root, script: str, path: str, line: bytes, workdir: str) -> Verdict | None:
    """What the kernel has against the interpreter that `path`, reached from `script`, names."""
    interpreter = absolute(_interpreter(line), workdir)
    if not _interpreter(line):
        evidence = f"{path} starts with #! and names no interpreter"
        return _fails("not-a-program", evidence, f"exec {script}: exec format error", "name one, with its whole path")
    barrier = root.barrier(interpreter)
    if barrier:
        evidence = f"{path} starts with #!{interpreter}, and {barrier} keeps the image's user from it"
        return _fails("not-executable", evidence, f"exec {script}: permission denied", "give the folder mode 0755")
    if not root.exists(interpreter):
        fix = f"add {interpreter}, or make the entry point a program"
        if interpreter.endswith("\r"):
            fix = "end its lines with LF alone: the kernel takes the CR for a part of the name"
        evidence = f"{path} starts with #!{interpreter!r}, which the image lacks"
        return _fails("script-interpreter-missing", evidence, f"exec {script}: no such file or directory", fix)
    if not root.may_execute(interpreter):
        evidence = f"{path} starts with #!{interpreter}, which may not be executed"
        return _fails("not-executable", evidence, f"exec {script}: permission denied", "give it mode 0755")
    return None


def _interpreter(line: bytes) -> str:
    words = line[2:].strip(b" \t").split(b" ", 1)[0].split(b"\t", 1)
    return words[0].decode(errors="surrogateescape")


def _argument(line: bytes) -> str:
    """All behind the interpreter, as the one argument that the kernel makes of it."""
    words = re.split(rb"[ \t]+", line[2:].strip(b" \t"), maxsplit=1)
    return words[1].decode(errors="surrogateescape") if len(words) > 1 else ""


def _through_env(
    whole: Root,
    root: Root,
    script: str,
    interpreter: str,
    argument: str,
    platform: Platform,
    env: Environment,
    user: str,
    workdir: str,
    depth: int,
) -> Verdict:
    """What becomes of the program that env is to start; `root` is the user's view of `whole`."""
    busybox = is_busybox(root, interpreter)
    if busybox and argument.startswith("-S"):
        evidence = f"{script} starts with #!{interpreter} {argument}, and busybox's env does not know -S"
        message = f"{interpreter}: invalid option -- 'S'"
        return _fails("script-option-unknown", evidence, message, "name the interpreter with its whole path")
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
    settings = (asked, platform, env, user, workdir, depth)
    return _started_by_env(whole, root, script, interpreter, *settings, busybox=busybox, is_script=True)


def _started_by_env(
    whole: Root,
    root: Root,
    asker: str,
    interpreter: str,
    asked: tuple[Environment, str],
    platform: Platform,
    env: Environment,
    user: str,
    workdir: str,
    depth: int = 0,
    *,
    busybox: bool,
    is_script: bool = False,
) -> Verdict:
    """The verdict on what env starts; `interpreter` is what env was called as, and names itself in its messages."""
    settings, name = asked
    env = (*env, *settings)
    paths = [absolute(name, workdir)] if "/" in name else _candidates(name, _search_path(env), workdir)
    failed: Verdict | None = None
    denied = False
    for path in paths:
        if not root.may_execute(path):
            denied |= root.exists(path) or bool(root.barrier(path))
            continue
        line = first_line(root.reader(path))
        if line.startswith(b"#!"):
            verdict = judge_script(whole, line, path, platform, env=env, user=user, workdir=workdir, depth=depth + 1)
        else:
            verdict = _judge_program(whole, path, platform, env, user, workdir)
        if verdict.status is not Status.FAILS:
            return _not_followed(verdict, f"{asker} is a script for {path}") if is_script else verdict
        failed = failed or verdict
        if not verdict.reason.endswith(": no such file or directory"):
            break  # only for want of a file does it look on
    if failed is None:
        why = "Permission denied" if denied else "No such file or directory"
        evidence = f"{asker} asks {interpreter} for {name}, which is in no folder of PATH" + (
            " that may be executed" if denied else ""
        )
        message = complaint(interpreter, name, why, busybox=busybox)
        return _fails("script-interpreter-missing", evidence, message, f"add {name}, or make the entry point a program")
    return _told_by_env(failed, interpreter, name, busybox=busybox)


def _told_by_env(failed: Verdict, interpreter: str, name: str, *, busybox: bool) -> Verdict:
    """The same findings, in env's words where it tells what the kernel said."""
    findings = []
    for finding in failed.findings:
        kernel, _, why = finding.message.rpartition(": ")
        message = finding.message
        if kernel.startswith("exec "):
            message = complaint(interpreter, name, why.capitalize(), busybox=busybox)
        # A C library's execvp may hand what is not a program to /bin/sh.
        level = Level.POSSIBLE if finding.code == "not-a-program" else finding.level
        findings.append(replace(finding, level=level, message=message))
    certain = any(finding.level is Level.CERTAIN for finding in findings)
    return replace(failed, status=Status.FAILS if certain else Status.UNKNOWN, findings=tuple(findings))


def _loaded(
    whole: Root,
    root: Root,
    loader: str,
    argv: tuple[str, ...],
    platform: Platform,
    env: Environment,
    user: str,
    workdir: str,
) -> Verdict | None:
    """The verdict on the program that a loader is called with; None where what that does is not known here."""
    asked = asked_of_loader(root, loader, argv[1:], env)
    if asked is None:
        return None
    settings, name = asked
    program = absolute(name, workdir)
    if root.is_folder(program):
        return None
    if not root.exists(program) or not root.may_read(program):
        denied = root.exists(program) or root.barrier(program)
        why = "Permission denied" if denied else "No such file or directory"
        evidence = f"the entry point has {argv[0]} load {name}, which the image's user cannot open"
        return _fails("entry-missing", evidence, complaint_of_loader(argv[0], name, why), "add it, or correct the path")
    if not is_its_own(root, loader, program, workdir):
        return None
    verdict = _judge_program(whole, program, platform, settings, user, workdir)
    # What the kernel would refuse a loader may take, or refuse in other words.
    return None if verdict.reason.startswith("exec ") and verdict.status is Status.FAILS else verdict


def _read_by_shell(root: Root, path: str, argv: tuple[str, ...], workdir: str, verdict: Verdict) -> Verdict:
    """The verdict on a shell, with what is known of the script that it is called with."""
    script = script_of(path, argv[1:])
    if not script:
        return verdict
    file = absolute(script, workdir)
    if root.exists(file) and root.may_read(file):
        return _not_followed(verdict, f"the entry point has a shell read {script}")
    denied = bool(root.exists(file) or root.barrier(file))
    why = "Not a directory" if _file_on_the_way(root, file) else "No such file or directory"
    message = complaint_of_shell(root.reader(path), argv, script, "Permission denied" if denied else why)
    if not message:
        return _not_followed(verdict, f"the entry point has a shell read {script}, which it cannot open there")
    evidence = f"the entry point has {argv[0]} read {script}, which the image's user cannot open"
    if denied:
        return _fails("script-unreadable", evidence, message, "give it mode 0755")
    return _fails("script-missing", evidence, message, "add it, or correct the path")


def _not_followed(verdict: Verdict, evidence: str) -> Verdict:
    if verdict.status is Status.FAILS:
        return verdict
    finding = Finding(
        level=Level.POSSIBLE,
        code="not-followed",
        evidence=f"{evidence}: what that starts was not judged",
        message="depends on the commands in it",
        fix="verify the programs that it starts, with this image as their base",
    )
    return replace(verdict, findings=(*verdict.findings, finding))


def _judge_program(
    root: Root,
    path: str,
    platform: Platform,
    env: Environment,
    user: str,
    workdir: str,
    argv: tuple[str, ...] = (),
) -> Verdict:
    reader = root.reader(path)
    try:
        traits = examine_reader(reader)
        facts = facts_of(reader, traits.header, traits.dynamic)
        called = argv[0] if argv else ""
        verdict = judge(traits, facts, root, platform, env=env, user=user, entry=path, workdir=workdir, argv0=called)
    except TruncatedElf as error:
        return _fails("truncated", error.message, "Segmentation fault (exit code 139)", "copy or build it again")
    except NotElf as error:
        fix = "a script starts with #! and its interpreter, a program is built for Linux"
        return _fails("not-a-program", f"{path}: {error.message}", f"exec {path}: exec format error", fix)
    applet = missing_applet(root, path, argv[1:]) if verdict.status is Status.RUNS else ""
    if applet:
        evidence = f"{path} is busybox, built without {applet}"
        return _fails("applet-missing", evidence, f"{applet}: applet not found", "add the program of that name")
    return verdict


def _find(root: Root, name: str, search: str, workdir: str) -> str | None:
    """The path that is executed, relative where the name or its folder is. Source: Go, os/exec, `LookPath`."""
    if "/" in name:
        return name if root.exists(absolute(name, workdir)) else None
    paths = [posixpath.join(folder, name) for folder in search.split(":")] if search else []
    return next((path for path in paths if root.may_execute(absolute(path, workdir))), None)


def _search_path(env: Environment) -> str:
    """PATH as a process has it: engines set it where the image does not, and leave it as it is where it is empty."""
    return dict(env).get("PATH", _DEFAULT_PATH)


def _candidates(name: str, search: str, workdir: str) -> list[str]:
    return [posixpath.join("/", workdir, folder, name) for folder in search.split(":")]


def _out_of_reach(root: Root, name: str, workdir: str) -> Verdict | None:
    path = posixpath.join("/", workdir, name)
    barrier = root.barrier(path) if "/" in name else ""
    if not barrier:
        return None
    evidence = f"{barrier} has mode {root.mode(barrier):04o}, and keeps the image's user from {name}"
    message = f'exec: "{name}": stat {name}: permission denied'
    return _fails("not-executable", evidence, message, "give the folder mode 0755")


def _missing(root: Root, argv: tuple[str, ...], workdir: str) -> Verdict:
    name = argv[0]
    if "/" not in name:
        message = f'exec: "{name}": executable file not found in $PATH'
        return _fails(
            "entry-missing",
            f"no {name} that may be executed in any folder of PATH",
            message,
            "name it with its whole path, or add it",
        )
    file = _file_on_the_way(root, absolute(name, workdir))
    message = f'exec: "{name}": stat {name}: {"not a directory" if file else "no such file or directory"}'
    if file:
        evidence = f"the entry point {name} takes {file} for a folder"
        return _fails("entry-missing", evidence, message, "correct the path")
    if argv[1:2] == ("-c",):
        fix = 'write the entry point in exec form: ENTRYPOINT ["/app"]'
        return _fails("shell-missing", f"the entry point is in shell form, and the image lacks {name}", message, fix)
    return _fails(
        "entry-missing", f"the entry point {name} is not in the image", message, "add it, or correct the path"
    )


def _file_on_the_way(root: Root, path: str) -> str:
    """What a path takes for a folder, and is none; "" where there is no such thing."""
    ends = [index for index, letter in enumerate(path) if letter == "/" and index]
    return next((path[:end] for end in ends if root.exists(path[:end]) and not root.is_folder(path[:end])), "")


def _fails(code: str, evidence: str, message: str, fix: str) -> Verdict:
    return Verdict(
        Status.FAILS, (Finding(level=Level.CERTAIN, code=code, evidence=evidence, message=message, fix=fix),)
    )
