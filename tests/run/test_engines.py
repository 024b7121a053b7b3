"""What every engine owes its user, asked of each of them with the same programs."""

from __future__ import annotations

import os
import sys
import tarfile
import time
from pathlib import Path

import pytest

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.errors import Unavailable
from recipes.model import Additions, Command, FileEntry, ImageSettings, Limits, Platform, RunOutcome, RunStatus
from recipes.package.assemble import data_layer
from recipes.pipeline import Project
from recipes.run.docker import DockerEngine
from recipes.run.engine import Engine, choose
from recipes.run.local import LocalEngine
from recipes.run.podman import PodmanEngine
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.need import need, need_tool
from tests.programs import compile_c, image_of, program_of

ROOT = Path(__file__).resolve().parents[2]


LIKE_DOCKER = ["local", pytest.param("docker", marks=pytest.mark.slow)]
"""The local engine does as Docker does, where podman has ways of its own: low ports, /dev, volumes, what it tells."""


@pytest.fixture(params=[*LIKE_DOCKER, pytest.param("podman", marks=pytest.mark.slow)])
def runner(request: pytest.FixtureRequest, workspace: Workspace) -> Engine:
    project = Project.at(workspace.root)
    if request.param == "local":
        return LocalEngine(workspace, project.roots)
    if request.param == "podman":
        need_tool("podman")
        return PodmanEngine.connect(project.store, project.roots)
    request.getfixturevalue("engine")
    return DockerEngine.connect(project.store, project.roots)


def run(
    runner: Engine, workspace: Workspace, code: str, *flags: str, stdin: bytes = b"", limits: Limits | None = None,
    args: tuple[str, ...] = (), language: str = "c",
) -> RunOutcome:  # fmt: skip
    image = image_of(Project.at(workspace.root), compile_c(workspace, code, *flags, language=language))
    outcome = runner.run(image, args=args, stdin=stdin, limits=limits)
    if outcome.status is RunStatus.NOT_RUN:
        need(False, f"an engine that runs anything ({outcome.reason})")
    return outcome


def test_outputs_arguments_and_input(runner: Engine, workspace: Workspace) -> None:
    """stdout and stderr come apart, arguments and stdin go in as they are, the exit code comes back."""
    code = r"""
    #include <stdio.h>
    int main(int argc, char **argv) {
        char line[100]; fgets(line, 100, stdin);
        printf("%d|%s|%s", argc, argv[1], line); fprintf(stderr, "oops"); return 7; }"""
    outcome = run(runner, workspace, code, stdin=b"typed\n", args=("two words 'and' \"quotes\"\n",))
    assert (outcome.status, outcome.exit_code) == (RunStatus.EXITED, 7)
    assert outcome.stdout == "2|two words 'and' \"quotes\"\n|typed\n"
    assert outcome.stderr == "oops"


def test_input_that_nobody_reads(runner: Engine, workspace: Workspace) -> None:
    """A program that ends without reading its input is not waited for any longer."""
    code = '#include <stdio.h>\n#include <unistd.h>\nint main(void) { sleep(1); puts("bye"); }'
    started = time.monotonic()
    assert run(runner, workspace, code, stdin=b"x" * 30_000_000).stdout == "bye\n"
    assert time.monotonic() - started < 30


def test_who_and_where_it_is(runner: Engine, workspace: Workspace) -> None:
    """Process 1, not root, no rights, no network but loopback, a root that cannot be written to."""
    code = r"""
    #include <stdio.h>
    #include <unistd.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <net/if.h>
    #include <sys/prctl.h>
    int main(void) {
        struct if_nameindex *links = if_nameindex(); int count = 0;
        for (; links && links[count].if_index; count++);
        int file = open("/new", O_CREAT | O_WRONLY, 0644);
        printf("%d %d %d %d %d %d\n", getpid(), getuid(), getgid(), count, file == -1 && errno == EROFS,
               prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); }"""
    assert run(runner, workspace, code).stdout == "1 65532 65532 1 1 1\n"


@pytest.mark.parametrize("runner", LIKE_DOCKER, indirect=True)
def test_every_port_may_be_bound(runner: Engine, workspace: Workspace) -> None:
    """A server that is not root gets port 53 on loopback."""
    code = r"""
    #include <arpa/inet.h>
    #include <stdio.h>
    #include <sys/socket.h>
    #include <unistd.h>
    int main(void) {
        struct sockaddr_in place = {AF_INET, htons(53), {htonl(INADDR_LOOPBACK)}};
        printf("%d %d", getuid() != 0, bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&place, sizeof place)); }"""
    assert run(runner, workspace, code).stdout == "1 0"


def test_a_base_whose_top_is_closed(runner: Engine, workspace: Workspace) -> None:
    """A container's `/` is the engine's own folder, whatever mode the layers give it."""
    base = workspace.root / "base.tar"
    with tarfile.open(base, "w") as archive:
        top = tarfile.TarInfo("./")
        top.type, top.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(top)
    binary = compile_c(workspace, "int main(void) { return 0; }")
    outcome = runner.run(image_of(Project.at(workspace.root), binary, f"rootfs:{base}"))
    if outcome.status is RunStatus.NOT_RUN:
        need(False, f"namespaces ({outcome.reason})")
    assert (outcome.status, outcome.exit_code) == (RunStatus.EXITED, 0)


@pytest.mark.parametrize("runner", LIKE_DOCKER, indirect=True)
def test_what_docker_injects_is_there(runner: Engine, workspace: Workspace) -> None:
    """Devices, /proc and the files that Docker puts into every container, in an empty image."""
    code = r"""
    #include <stdio.h>
    #include <unistd.h>
    int main(void) {
        const char *names[] = {"/dev/null", "/dev/urandom", "/proc/self/exe", "/etc/hosts", "/etc/hostname",
                               "/etc/resolv.conf", "/tmp", "/etc/passwd", 0};
        for (int i = 0; names[i]; i++) printf("%d", access(names[i], F_OK) == 0);
        puts(""); }"""
    assert run(runner, workspace, code).stdout == "11111100\n"


def test_a_crash_is_counted_as_a_shell_does(runner: Engine, workspace: Workspace) -> None:
    """SIGSEGV is exit code 139."""
    outcome = run(runner, workspace, "int main(void) { *(volatile int *)8 = 1; }")
    assert (outcome.status, outcome.exit_code) == (RunStatus.EXITED, 139)


def test_a_missing_loader_is_named_as_docker_names_it(runner: Engine, workspace: Workspace) -> None:
    """A dynamic program in an empty image does not start, with the message that the user would see."""
    outcome = run(runner, workspace, "int main(void) { return 0; }", "-O1")
    assert (outcome.status, outcome.reason) == (RunStatus.NOT_STARTED, "exec /app: no such file or directory")


def test_what_is_no_program_does_not_start(runner: Engine, workspace: Workspace) -> None:
    """Garbage with the right mode is an exec format error."""
    garbage = workspace.root / "garbage"
    garbage.write_bytes(b"\x7fELF" + bytes(100))
    outcome = runner.run(image_of(Project.at(workspace.root), program_of(garbage)))
    assert (outcome.status, outcome.reason) == (RunStatus.NOT_STARTED, "exec /app: exec format error")


def test_a_program_may_speak_as_an_engine_does(runner: Engine, workspace: Workspace) -> None:
    """A program that fails with a message about another one has been started."""
    code = '#include <stdio.h>\nint main(void) { fputs("exec foo: no such file or directory\\n", stderr); return 1; }'
    outcome = run(runner, workspace, code)
    assert (outcome.status, outcome.exit_code) == (RunStatus.EXITED, 1)


def test_arguments_that_are_too_long(runner: Engine, workspace: Workspace) -> None:
    """The kernel starts no program with them: the reason says so, at its end, in the same words."""
    outcome = run(runner, workspace, "int main(void) { return 0; }", args=("x" * 140_000,))
    assert (outcome.status, outcome.reason) == (RunStatus.NOT_STARTED, "exec /app: argument list too long")


SERVER = r"""
    #include <arpa/inet.h>
    #include <sys/socket.h>
    #include <unistd.h>
    static int open_at(int kind, int port) {
        struct sockaddr_in place = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}};
        int number = socket(AF_INET, kind, 0);
        bind(number, (void *)&place, sizeof place);
        return number; }
    int main(void) {
        listen(open_at(SOCK_STREAM, 8080), 5); listen(open_at(SOCK_STREAM, 443), 5);
        open_at(SOCK_STREAM, 22); open_at(SOCK_DGRAM, 53); open_at(SOCK_DGRAM, 0);
        for (;;) pause(); }"""


@pytest.mark.parametrize("runner", LIKE_DOCKER, indirect=True)
@pytest.mark.parametrize(
    "limits", [Limits(seconds=1), Limits(listening_seconds=0.5)], ids=["at the limit", "when it listens"]
)
def test_the_ports_of_a_server(runner: Engine, workspace: Workspace, limits: Limits) -> None:
    """Named are those on which others may reach it: not one that is only bound, nor one of a client's."""
    outcome = run(runner, workspace, SERVER, limits=limits)
    assert (outcome.status, outcome.timed_out) == (RunStatus.STOPPED, True)
    assert outcome.listens == ("53/udp", "443/tcp", "8080/tcp")


def test_a_program_that_listened_and_ended(runner: Engine, workspace: Workspace) -> None:
    """It ended by itself: no port is open any more."""
    code = SERVER.replace("for (;;) pause();", "sleep(1); return 3;")
    limits = Limits(listening_seconds=15)
    outcome = run(runner, workspace, code, limits=limits)
    assert (outcome.status, outcome.exit_code, outcome.listens) == (RunStatus.EXITED, 3, ())


def test_what_hangs_is_stopped(runner: Engine, workspace: Workspace) -> None:
    """At the time limit the run ends, with what was written so far."""
    code = (
        '#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts("begun"); fflush(stdout); for (;;) pause(); }'
    )
    outcome = run(runner, workspace, code, limits=Limits(seconds=2))
    assert (outcome.status, outcome.stdout) == (RunStatus.STOPPED, "begun\n")
    assert "time limit" in outcome.reason


def test_a_flood_is_stopped(runner: Engine, workspace: Workspace) -> None:
    """Output without end stops at the limit."""
    code = '#include <stdio.h>\nint main(void) { for (;;) puts("flood"); }'
    outcome = run(runner, workspace, code, limits=Limits(output_bytes=50_000))
    assert outcome.status is RunStatus.STOPPED
    assert "output limit" in outcome.reason
    assert len(outcome.stdout) == 50_000


def test_forking_without_end_is_bounded(runner: Engine, workspace: Workspace) -> None:
    """A fork bomb meets its limit, and nothing of it is left."""
    code = r"""
    #include <stdio.h>
    #include <unistd.h>
    int main(void) {
        int made = 0;
        for (int i = 0; i < 500; i++) { int pid = fork(); if (pid == 0) for (;;) pause(); if (pid > 0) made++; }
        printf("%d", made < 64); }"""
    assert run(runner, workspace, code).stdout == "1"


@pytest.mark.parametrize("runner", LIKE_DOCKER, indirect=True)
def test_eating_memory_is_bounded(runner: Engine, workspace: Workspace) -> None:
    """A program that takes memory without end does not get it."""
    code = r"""
    #include <stdlib.h>
    #include <string.h>
    int main(void) {
        for (int i = 0; i < 100; i++) { char *more = malloc(10 << 20); if (!more) return 9; memset(more, 1, 10 << 20); }
        return 0; }"""
    outcome = run(runner, workspace, code, limits=Limits(memory_bytes=64 << 20))
    assert outcome.exit_code == 9 or (outcome.status is RunStatus.STOPPED and "memory" in outcome.reason)


def test_the_base_is_below_the_program(runner: Engine, workspace: Workspace) -> None:
    """Files of the base are there, and its whiteouts' victims are not."""
    root = workspace.root / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("from the base\n")
    code = '#include <stdio.h>\nint main(void) { char t[99]; puts(fgets(t, 99, fopen("/etc/passwd", "r"))); }'
    project = Project.at(workspace.root)
    outcome = runner.run(image_of(project, compile_c(workspace, code), f"rootfs:{root}"))
    assert outcome.stdout == "from the base\n\n"


# ── files of the image ───────────────────────────────────────────────────────────────────────────────────────────────

PROBE = r"""
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char text[4096];
    printf("in %s\n", getcwd(text, sizeof text));
    for (int i = 1; i < argc; i++) {
        const char *path = argv[i] + 2;
        if (argv[i][0] == 'l') {
            DIR *folder = opendir(path);
            int count = 0;
            while (readdir(folder)) count++;
            printf("%s %d\n", path, count - 2 - (strcmp(path, "/proc/self/fd") == 0));
            continue;
        }
        int file = open(path, argv[i][0] == 'w' ? O_WRONLY | O_CREAT : O_RDONLY, 0644);
        if (file == -1) { printf("%s %s\n", path, strerror(errno)); continue; }
        if (argv[i][0] == 'w') {
            printf("%s written\n", path);
            fflush(stdout);
            write(file, "!", 1);
        } else {
            int length = read(file, text, sizeof text);
            printf("%s %.*s\n", path, length, text);
        }
        close(file);
    }
}"""


def probe(
    runner: Engine, workspace: Workspace, *args: str, base: str = "scratch", files: tuple[FileEntry, ...] = (),
    settings: ImageSettings | None = None, stdin: bytes = b"",
) -> list[str]:  # fmt: skip
    """What the probe says in such an image: where it is, and of each argument. `r:` reads, `w:` writes, `l:` counts."""
    project = Project.at(workspace.root)
    additions = Additions(settings or ImageSettings(), (data_layer(files, project.store, "gzip"),) if files else ())
    below = resolve(base, Platform.host(), workspace, project.store)
    outcome = runner.run(
        pipeline.make_image(project, compile_c(workspace, PROBE), below, additions), args=args, stdin=stdin
    )
    if outcome.status is RunStatus.NOT_RUN:
        need("here (" not in outcome.reason and "not allowed" not in outcome.reason, f"namespaces ({outcome.reason})")
    assert (outcome.status, outcome.exit_code) == (RunStatus.EXITED, 0), outcome
    return outcome.stdout.splitlines()


def test_files_that_are_closed_to_others(runner: Engine, workspace: Workspace) -> None:
    """A key that only the image's user may read is read by it."""
    files = (FileEntry("/etc/key", b"secret", 0o400, 65532, 65532), FileEntry("/own", None, 0o700, 65532, 65532))
    assert probe(runner, workspace, "r:/etc/key", "l:/own", files=files)[1:] == ["/etc/key secret", "/own 0"]


def test_the_streams_have_names(runner: Engine, workspace: Workspace) -> None:
    """/dev/stdout, /dev/stderr and /dev/stdin can be opened, and no other descriptor is open."""
    said = probe(
        runner, workspace, "w:/dev/stdout", "w:/proc/self/fd/2", "r:/dev/stdin", "l:/proc/self/fd", stdin=b"typed"
    )
    assert said[1:] == ["/dev/stdout written", "!/proc/self/fd/2 written", "/dev/stdin typed", "/proc/self/fd 3"]


DENIED = "Permission denied"


@pytest.mark.parametrize("runner", LIKE_DOCKER, indirect=True)
@pytest.mark.parametrize(
    ("user", "folder", "said"),
    [
        ("65532:65532", None, ["/data/seed No such file or directory", f"/data/new {DENIED}"]),
        ("65532:65532", (0o755, 0), ["/data/seed seed", f"/data/new {DENIED}"]),
        ("65532:65532", (0o755, 65532), ["/data/seed seed", "/data/new written"]),
        ("65532:65532", (0o1777, 0), ["/data/seed seed", "/data/new written"]),
        ("0:0", None, ["/data/seed No such file or directory", "/data/new written"]),
    ],
)
def test_a_volume_is_the_images_folder(
    runner: Engine, workspace: Workspace, user: str, folder: tuple[int, int] | None, said: list[str]
) -> None:
    """It starts with what the image has there, and may be written to by whom its folder lets; without one, by root."""
    files: tuple[FileEntry, ...] = ()
    if folder:
        mode, owner = folder
        files = (FileEntry("/data", None, mode, owner, owner), FileEntry("/data/seed", b"seed", 0o644))
    settings = ImageSettings(user=user, volumes=("/data",))
    assert probe(runner, workspace, "r:/data/seed", "w:/data/new", files=files, settings=settings)[1:] == said


def test_volumes_in_volumes(runner: Engine, workspace: Workspace) -> None:
    """Folders, links and files with their modes come into a volume, and so do a volume and the workdir within it."""
    files = (
        FileEntry("/data/deep/file", b"deep", 0o444), FileEntry("/data/link", None, 0o777, link="deep/file"),
        FileEntry("/data/closed", b"root's", 0o600), FileEntry("/data/deep/inner/seed", b"seed", 0o644),
        FileEntry("/tmp", None, 0o1777), FileEntry("/tmp/kept/seed", b"kept", 0o644),
    )  # fmt: skip
    settings = ImageSettings(volumes=("/data/deep/inner", "/data", "/tmp/kept"), workdir="/data/new/here")
    names = ["/data/link", "/data/closed", "/data/deep/inner/seed", "/tmp/kept/seed"]
    said = probe(
        runner, workspace, *(f"r:{name}" for name in names), "w:/data/deep/file", files=files, settings=settings
    )
    assert said[0] == "in /data/new/here"
    contents = ["deep", DENIED, "seed", "kept", DENIED]
    assert said[1:] == [f"{name} {text}" for name, text in zip([*names, "/data/deep/file"], contents, strict=True)]


@pytest.mark.parametrize(("target", "exists"), [("/run", True), ("../run", True), ("/run", False)])
def test_folders_beneath_links(runner: Engine, workspace: Workspace, target: str, exists: bool) -> None:
    """A working directory and a volume are made where the base's links lead to, though that may not exist yet."""
    root = workspace.root / "root"
    (root / "var").mkdir(parents=True)
    (root / "var/run").symlink_to(target)
    if exists:
        (root / "run").mkdir()
    settings = ImageSettings(workdir="/var/run/app", volumes=("/var/run/vol",), user="0:0")
    said = probe(runner, workspace, "w:/var/run/vol/new", "r:/run/vol/new", base=f"rootfs:{root}", settings=settings)
    assert said == ["in /run/app", "/var/run/vol/new written", "/run/vol/new !"]


# ── the local engine alone ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_is_not_run(workspace: Workspace) -> None:
    """Where namespaces are not allowed the outcome says so, and is never a pass."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { return 0; }"))
    code = (
        "import ctypes, os, pickle, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True); uid, gid = os.getuid(), os.getgid()\n"
        "assert libc.unshare(0x10000000) == 0\n"
        "open('/proc/self/setgroups', 'w').write('deny')\n"
        "open('/proc/self/uid_map', 'w').write(f'0 {uid} 1'); open('/proc/self/gid_map', 'w').write(f'0 {gid} 1')\n"
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "from recipes.run.local import LocalEngine\n"
        "engine, image = pickle.loads(sys.stdin.buffer.read())\n"
        "outcome = engine.run(image); print(outcome.status, '|', outcome.reason, end='')"
    )
    import pickle

    data = pickle.dumps((LocalEngine(workspace, project.roots), image))
    done = shell.run(Command((sys.executable, "-c", code), cwd=ROOT), stdin=data)
    need(b"AssertionError" not in done.stderr, "user namespaces")
    assert done.stdout.decode().startswith("not run | "), done.stderr.decode()
    assert b"here (" in done.stdout


def test_nothing_stays_mounted(workspace: Workspace) -> None:
    """While it runs and after it, this machine's mounts know nothing of it."""
    mounts = Path("/proc/self/mounts")
    code = r"""
    #include <stdio.h>
    int main(void) {
        char line[4096]; FILE *file = fopen("/proc/self/mounts", "r");
        while (fgets(line, sizeof line, file)) fputs(line, stdout);
    }"""
    seen = run(LocalEngine(workspace, Project.at(workspace.root).roots), workspace, code)
    assert len(seen.stdout.splitlines()) > 1
    assert str(workspace.root) not in mounts.read_text()


def test_auto_without_an_engine_is_local(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An address where nothing answers: `auto` says that it goes on without, `docker` is an error."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{workspace.root}/nothing")
    project = Project.at(workspace.root)
    assert choose("auto", workspace, project.store, project.roots).name == "local"
    assert "engine: local" in capfd.readouterr().err
    with pytest.raises(Unavailable):
        choose("docker", workspace, project.store, project.roots)
    assert os.environ["DOCKER_HOST"]
