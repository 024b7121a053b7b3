"""How a program of an image is started, and the verdict on one: what entry points, scripts and env have in common."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

from recipes.elf.facts import facts_of
from recipes.elf.markers import examine_reader
from recipes.errors import NotElf, TruncatedElf
from recipes.model import Environment, Finding, Level, Platform, Status, Verdict
from recipes.verdict.applets import missing_applet
from recipes.verdict.judge import judge
from recipes.verdict.startup import account_of
from recipes.verdict.subject import Root

_MOUNTS = ("/dev", "/proc", "/sys")
"""Where every engine mounts file systems of its own over what an image has."""

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where, for whom and with what an image's programs are started.

    `whole` is its root as the engine sees it, `root` the same as the image's user does.
    """

    whole: Root
    root: Root
    platform: Platform
    env: Environment = ()
    user: str = ""
    workdir: str = "/"

    @property
    def search_path(self) -> str:
        """PATH as a process has it: engines set it where the image does not, and leave an empty one alone."""
        return dict(self.env).get("PATH", _DEFAULT_PATH)


def launch_in(root: Root, platform: Platform, *, env: Environment, user: str, workdir: str) -> Launch | Verdict:
    """The verdict, where the engine already gives up over the user or the working folder."""
    root = root.beneath_mounts(_MOUNTS)
    account = account_of(root, user)
    if isinstance(account, Finding):
        return Verdict(Status.FAILS, (account,))
    unusable = _unusable(root, workdir)
    if unusable is not None:
        return unusable
    folder = posixpath.normpath(posixpath.join("/", workdir))
    return Launch(whole=root, root=root.seen_by(account), platform=platform, env=env, user=user, workdir=folder)


def _unusable(root: Root, workdir: str) -> Verdict | None:
    """What engines have against a working folder: they make what is missing of it, as root."""
    if workdir and not workdir.startswith("/"):
        evidence, message = f"the working folder {workdir!r} is relative", "Cwd must be an absolute path"
        return fails("workdir-unusable", evidence, message, "give its whole path")
    folder = posixpath.normpath(posixpath.join("/", workdir))
    file = file_on_the_way(root, f"{folder}/")
    if not file:
        return None
    message = f"Cannot mkdir: {folder} is not a directory" if file == folder else f"{folder}: not a directory"
    return fails(
        "workdir-unusable", f"{file}, of the working folder {workdir}, is not a folder", message, "name a folder"
    )


def file_on_the_way(root: Root, path: str) -> str:
    """The part of a path that is not a folder and has a name behind it, or the file that links in it lead through."""
    ends = [index for index, letter in enumerate(path) if letter == "/" and index]
    parts = (path[:end] for end in ends if root.exists(path[:end]) and not root.is_folder(path[:end]))
    return next(parts, "") or root.file_on_the_way(path)


def judge_program(launch: Launch, path: str, argv: tuple[str, ...] = ()) -> Verdict:
    """The verdict on the program at `path`, called as `argv`."""
    root = launch.whole
    reader = root.reader(path)
    try:
        traits = examine_reader(reader)
        facts = facts_of(reader, traits.header, traits.dynamic)
        verdict = judge(
            traits,
            facts,
            root,
            launch.platform,
            env=launch.env,
            user=launch.user,
            entry=path,
            workdir=launch.workdir,
            argv0=argv[0] if argv else "",
        )
    except TruncatedElf as error:
        return fails("truncated", error.message, "Segmentation fault (exit code 139)", "copy or build it again")
    except NotElf as error:
        fix = "a script starts with #! and its interpreter, a program is built for Linux"
        return fails("not-a-program", f"{path}: {error.message}", f"exec {path}: exec format error", fix)
    applet = missing_applet(root, path, argv[1:]) if verdict.status is Status.RUNS else ""
    if applet:
        evidence = f"{path} is busybox, built without {applet}"
        return fails("applet-missing", evidence, f"{applet}: applet not found", "add the program of that name")
    return verdict


def not_followed(verdict: Verdict, evidence: str) -> Verdict:
    """The same verdict, unless it is a failure, with what it does not speak of."""
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


def named_as(asked: str, path: str, verdict: Verdict) -> Verdict:
    """The kernel's complaints speak of what it was asked to start, not of what that led to."""
    findings = (
        replace(finding, message=finding.message.replace(f"exec {path}:", f"exec {asked}:"))
        for finding in verdict.findings
    )
    return replace(verdict, findings=tuple(findings))


def fails(code: str, evidence: str, message: str, fix: str) -> Verdict:
    """A failure that is certain, for one reason."""
    return Verdict(
        Status.FAILS, (Finding(level=Level.CERTAIN, code=code, evidence=evidence, message=message, fix=fix),)
    )
