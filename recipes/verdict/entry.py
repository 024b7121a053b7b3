"""A whole image's entry point → Verdict: found, allowed, a script or a program, and then judged like any program.

Source: runc's messages as Docker shows them.
"""

from __future__ import annotations

import errno
import posixpath
import shlex
from dataclasses import replace

from recipes.loader.glibcpaths import absolute
from recipes.model import Environment, Platform, Status, Verdict
from recipes.verdict.envline import asked_by_words, is_busybox, is_env
from recipes.verdict.launch import Launch, fails, file_on_the_way, judge_program, launch_in, named_as, not_followed
from recipes.verdict.loadercall import asked_of_loader, complaint_of_loader, is_its_own, is_loader
from recipes.verdict.scripts import first_line, follow_script, interpreter_of, started_by_env
from recipes.verdict.shells import complaint_of_shell, is_shell, script_of
from recipes.verdict.subject import Root


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
        return fails("no-command", "neither entry point nor command in the image", "no command specified", "set one")
    launch = launch_in(root, platform, env=env, user=user, workdir=workdir)
    return launch if isinstance(launch, Verdict) else _judge(launch, argv)


def _judge(launch: Launch, argv: tuple[str, ...]) -> Verdict:
    root = launch.root
    found = _find(launch, argv[0])
    if found is None:
        return _out_of_reach(launch, argv[0]) or _missing(launch, argv)
    path = absolute(found, launch.workdir)
    if ".." not in path.split("/"):  # which links may lead elsewhere
        path = posixpath.normpath(path)
    if "/" not in argv[0] and not found.startswith("/"):
        evidence = f"{path} is found in the folder {posixpath.dirname(found) or '.'!r} of PATH, which is relative"
        message = f'exec: "{argv[0]}": cannot run executable found relative to current directory'
        return fails("entry-relative", evidence, message, "name it with its whole path")
    if not root.may_execute(path):
        kind = "a folder" if root.is_folder(path) else f"a file with mode {root.mode(path):04o}"
        message = f'exec: "{argv[0]}": permission denied'
        return fails("not-executable", f"{path} is {kind}", message, "give it mode 0755")
    line = first_line(root.reader(path))
    if line.startswith(b"#!"):
        verdict = named_as(found, path, follow_script(launch, line, path))
        readable = verdict.status is Status.FAILS or root.may_read(path)
        return verdict if readable else _unreadable_script(launch, line, found, path)
    verdict = named_as(found, path, judge_program(launch, path, argv))
    return verdict if verdict.status is Status.FAILS else _with_arguments(launch, path, argv, verdict)


def _unreadable_script(launch: Launch, line: bytes, found: str, path: str) -> Verdict:
    """What becomes of a script at `path` whose interpreter starts, and may not read it: it is handed `found`."""
    interpreter = interpreter_of(line)
    file = absolute(interpreter, launch.workdir)
    message = ""
    if is_shell(file):
        message = complaint_of_shell(launch.root.reader(file), (interpreter,), found, "Permission denied")
    evidence = f"{path} has mode {launch.root.mode(path):04o}, and its interpreter has to read it"
    return fails("script-unreadable", evidence, message or f"{found}: Permission denied", "give it mode 0755")


def _with_arguments(launch: Launch, path: str, argv: tuple[str, ...], verdict: Verdict) -> Verdict:
    """The verdict where the program at `path`, which starts, is known to start what its arguments name."""
    if is_loader(path):
        return _loaded(launch, path, argv) or verdict
    if is_env(path):
        asked = asked_by_words(argv[1:])
        if asked is not None:
            busybox = is_busybox(launch.root, path)
            return started_by_env(launch, "the entry point", argv[0], asked, busybox=busybox)
        if any(word.startswith("-") for word in argv[1:]):
            return not_followed(verdict, f"the entry point is {shlex.join(argv)}")
    if not is_shell(path):
        return verdict
    if argv[1:2] == ("-c",):
        return not_followed(verdict, f"the entry point hands {shlex.join(argv[2:3])} to a shell")
    return _read_by_shell(launch, path, argv, verdict)


def _loaded(launch: Launch, loader: str, argv: tuple[str, ...]) -> Verdict | None:
    """The verdict on the program that a loader is called with; None where what that does is not known here."""
    root, workdir = launch.root, launch.workdir
    asked = asked_of_loader(root, loader, argv[1:], launch.env)
    if asked is None:
        return None
    settings, name = asked
    program = absolute(name, workdir)
    if root.is_folder(program):
        return None
    if not root.exists(program) or not root.may_read(program):
        denied = root.exists(program) or root.barrier(program)
        number = errno.EACCES if denied else errno.ELOOP if root.is_loop(program) else errno.ENOENT
        evidence = f"the entry point has {argv[0]} load {name}, which the image's user cannot open"
        return fails(
            "entry-missing", evidence, complaint_of_loader(argv[0], name, number), "add it, or correct the path"
        )
    if not is_its_own(root, loader, program, workdir):
        return None
    verdict = judge_program(replace(launch, env=settings), program)
    # What the kernel would refuse a loader may take, or refuse in other words.
    return None if verdict.reason.startswith("exec ") and verdict.status is Status.FAILS else verdict


def _read_by_shell(launch: Launch, path: str, argv: tuple[str, ...], verdict: Verdict) -> Verdict:
    """The verdict on a shell, with what is known of the script that it is called with."""
    root, script = launch.root, script_of(path, argv[1:])
    if not script:
        return verdict
    file = absolute(script, launch.workdir)
    if root.exists(file) and root.may_read(file):
        return not_followed(verdict, f"the entry point has a shell read {script}")
    denied = bool(root.exists(file) or root.barrier(file))
    why = "Not a directory" if file_on_the_way(root, file) else "No such file or directory"
    message = complaint_of_shell(root.reader(path), argv, script, "Permission denied" if denied else why)
    if not message:
        return not_followed(verdict, f"the entry point has a shell read {script}, which it cannot open there")
    evidence = f"the entry point has {argv[0]} read {script}, which the image's user cannot open"
    if denied:
        return fails("script-unreadable", evidence, message, "give it mode 0755")
    return fails("script-missing", evidence, message, "add it, or correct the path")


def _find(launch: Launch, name: str) -> str | None:
    """The path that is executed, relative where the name or its folder is. Source: Go, os/exec, `LookPath`."""
    root, workdir, search = launch.root, launch.workdir, launch.search_path
    if "/" in name:
        return name if root.exists(absolute(name, workdir)) else None
    paths = [posixpath.join(folder, name) for folder in search.split(":")] if search else []
    return next((path for path in paths if root.may_execute(absolute(path, workdir))), None)


def _out_of_reach(launch: Launch, name: str) -> Verdict | None:
    root = launch.root
    path = posixpath.join("/", launch.workdir, name)
    barrier = root.barrier(path) if "/" in name else ""
    if not barrier:
        return None
    evidence = f"{barrier} has mode {root.mode(barrier):04o}, and keeps the image's user from {name}"
    message = f'exec: "{name}": stat {name}: permission denied'
    return fails("not-executable", evidence, message, "give the folder mode 0755")


def _missing(launch: Launch, argv: tuple[str, ...]) -> Verdict:
    name = argv[0]
    if "/" not in name:
        message = f'exec: "{name}": executable file not found in $PATH'
        return fails(
            "entry-missing",
            f"no {name} that may be executed in any folder of PATH",
            message,
            "name it with its whole path, or add it",
        )
    path = absolute(name, launch.workdir)
    file = file_on_the_way(launch.root, path)
    message = f'exec: "{name}": stat {name}: '
    if launch.root.is_loop(path):
        evidence = f"the entry point {name} is a loop of links"
        return fails("entry-missing", evidence, f"{message}too many levels of symbolic links", "correct the links")
    message += "not a directory" if file else "no such file or directory"
    if file:
        evidence = f"the entry point {name} takes {file} for a folder"
        return fails("entry-missing", evidence, message, "correct the path")
    if argv[1:2] == ("-c",):
        fix = 'write the entry point in exec form: ENTRYPOINT ["/app"]'
        return fails("shell-missing", f"the entry point is in shell form, and the image lacks {name}", message, fix)
    return fails("entry-missing", f"the entry point {name} is not in the image", message, "add it, or correct the path")
