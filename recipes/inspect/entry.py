"""A whole image's entry point → Verdict: found, allowed, a script or a program, and then judged like any program.

Source: Linux, fs/binfmt_script.c and fs/exec.c; runc's messages as Docker shows them.
"""

from __future__ import annotations

import posixpath

from recipes.errors import NotElf, TruncatedElf
from recipes.inspect.case import Root, read_text
from recipes.inspect.elf import read_facts
from recipes.inspect.judge import judge
from recipes.model import Environment, Finding, Level, Platform, Status, Verdict

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
    path = _find(root, argv[0], dict(env).get("PATH") or _DEFAULT_PATH, workdir)
    if path is None:
        return _missing(argv, workdir)
    if root.is_folder(path) or not root.mode(path) & 0o111:
        kind = "a folder" if root.is_folder(path) else f"a file with mode {root.mode(path):04o}"
        message = f'exec: "{argv[0]}": permission denied'
        return _fails("not-executable", f"{path} is {kind}", message, "give it mode 0755")
    for _ in range(_MOST_SCRIPTS):
        interpreter = _interpreter_of_script(root, path)
        if interpreter is None:
            return _judge_program(root, path, platform, env, user)
        if not root.exists(interpreter):
            return _fails(
                "script-interpreter-missing",
                f"{path} starts with #!{interpreter}, which the image lacks",
                f"exec {argv[0]}: no such file or directory",
                f"add {interpreter}, or make the entry point a program",
            )
        path = interpreter
    return _fails(
        "script-loop",
        f"{path} is a script for a script, and so on",
        f"exec {argv[0]}: too many levels of symbolic links",
        "use a program",
    )


def _judge_program(root: Root, path: str, platform: Platform, env: Environment, user: str) -> Verdict:
    reader = root.reader(path)
    try:
        return judge(reader, read_facts(reader), root, platform, env=env, user=user, entry=path)
    except TruncatedElf as error:
        return _fails("truncated", error.message, "Segmentation fault (exit code 139)", "copy or build it again")
    except NotElf as error:
        fix = "a script starts with #! and its interpreter, a program is built for Linux"
        return _fails("not-a-program", f"{path}: {error.message}", f"exec {path}: exec format error", fix)


def _find(root: Root, name: str, search: str, workdir: str) -> str | None:
    if "/" in name:
        path = posixpath.normpath(posixpath.join("/", workdir, name))
        return path if root.exists(path) else None
    candidates = [posixpath.join(folder or workdir, name) for folder in search.split(":")]
    return next((path for path in candidates if root.exists(path) and not root.is_folder(path)), None)


def _missing(argv: tuple[str, ...], workdir: str) -> Verdict:
    name = argv[0]
    if "/" not in name:
        message = f'exec: "{name}": executable file not found in $PATH'
        return _fails(
            "entry-missing", f"no {name} in any folder of PATH", message, "name it with its whole path, or add it"
        )
    message = (
        f'exec: "{name}": stat {posixpath.normpath(posixpath.join("/", workdir, name))}: no such file or directory'
    )
    if argv[1:2] == ("-c",):
        fix = 'write the entry point in exec form: ENTRYPOINT ["/app"]'
        return _fails("shell-missing", f"the entry point is in shell form, and the image lacks {name}", message, fix)
    return _fails(
        "entry-missing", f"the entry point {name} is not in the image", message, "add it, or correct the path"
    )


def _interpreter_of_script(root: Root, path: str) -> str | None:
    first = read_text(root, path, _LONGEST_LINE).partition("\n")[0]
    words = first[2:].split(maxsplit=1) if first.startswith("#!") else []
    return words[0] if words else None


def _fails(code: str, evidence: str, message: str, fix: str) -> Verdict:
    return Verdict(Status.FAILS, (Finding(Level.CERTAIN, code, evidence, message, fix),))
