"""What the local engine's jail promises, against programs and images that want out of it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.model import Additions, ImageSettings, Limits, RunOutcome, RunStatus
from recipes.pipeline import Project
from recipes.run import cgroups
from recipes.run.interpreter import sealed_interpreter
from recipes.run.local import LocalEngine
from recipes.support.workspace import Workspace
from tests.need import need
from tests.programs import compile_c, image_of
from tests.run.outside import Outside, marked, outside, processes, wait_until

LIMITS = Limits(seconds=10, memory_bytes=64 << 20)


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return Project.at(workspace.root)


def run(
    project: Project, code: str, *flags: str, base: str = "scratch", args: tuple[str, ...] = (),
    settings: ImageSettings | None = None, entrypoint: str = "", emulator: Path | None = None,
) -> RunOutcome:  # fmt: skip
    image = image_of(project, compile_c(project.workspace, code, *flags), base)
    image = replace(
        image, additions=Additions(settings or ImageSettings()), entrypoint=(entrypoint or image.entrypoint[0],)
    )
    outcome = LocalEngine(project.workspace, project.roots).run(image, args=args, limits=LIMITS, emulator=emulator)
    need("not allowed here" not in outcome.reason, f"namespaces ({outcome.reason})")
    return outcome


def root_with(project: Project, links: dict[str, str], files: dict[str, Path] | None = None) -> str:
    """A base with these links and programs."""
    root = project.workspace.root / "root"
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    for name, program in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(program.read_bytes())
        (root / name).chmod(0o755)
    return f"rootfs:{root}"


# ── whose program it is ──────────────────────────────────────────────────────────────────────────────────────────────

SAYS = '#include <stdio.h>\nint main(int argc, char **argv) {{ printf("{} %d", argc); }}'


def test_an_image_does_not_choose_the_emulator(project: Project) -> None:
    """What stands in the base where the emulator is put is not what runs."""
    emulator = compile_c(project.workspace, SAYS.format("emulator")).path
    impostor = compile_c(project.workspace, SAYS.format("impostor")).path
    base = root_with(project, {f".fromscratch/{emulator.name}": "/impostor"}, {"impostor": impostor})
    assert run(project, SAYS.format("program"), base=base, emulator=emulator).stdout == "emulator 2"


@pytest.mark.parametrize("target", ["/proc/self/exe", "/proc/self/fd/0", "/dev/fd/1", "/proc/self/root/app"])
def test_nothing_is_executed_by_a_link_of_proc(project: Project, target: str) -> None:
    """An entry point that leads through a link of /proc, which may end outside of the root, is not run."""
    outcome = run(project, SAYS.format("program"), base=root_with(project, {"start": target}), entrypoint="/start")
    assert outcome.status is RunStatus.NOT_RUN
    assert "/start leads into /proc" in outcome.reason


@pytest.mark.parametrize("lines", ["#!/proc/self/exe", "#! \t/link with words", "#!/script", "#!./link"])
def test_no_script_is_run_by_a_link_of_proc(project: Project, lines: str) -> None:
    """A script's interpreter, or that of its interpreter, is the image's own as well: else it would be our Python."""
    base = root_with(project, {"link": "/proc/self/exe"})
    for name, text in (("start", lines), ("script", "#!/link")):
        (project.workspace.root / "root" / name).write_text(f"{text}\n")
        (project.workspace.root / "root" / name).chmod(0o755)
    outcome = run(project, SAYS.format("program"), base=base, entrypoint="/start")
    assert outcome.status is RunStatus.NOT_RUN
    assert "leads into /proc" in outcome.reason


@pytest.mark.parametrize("bits", ["-m64", "-m32"])
def test_no_loader_is_a_link_of_proc(project: Project, bits: str) -> None:
    """The loader that a program names is the image's own."""
    base = root_with(project, {"loader": "/proc/self/exe"})
    code = "void _start(void) {}"
    outcome = run(project, code, bits, "-nostdlib", "-pie", "-fPIC", "-Wl,--dynamic-linker=/loader", base=base)
    assert outcome.status is RunStatus.NOT_RUN
    assert "/loader leads into /proc" in outcome.reason


def test_an_interpreter_that_is_a_pipe(project: Project) -> None:
    """Nobody waits for what will never be written into it."""
    base = root_with(project, {"link": "pipe"})
    os.mkfifo(project.workspace.root / "root/pipe", 0o755)
    assert run(project, SAYS.format("program"), base=base, entrypoint="/link").status is RunStatus.NOT_STARTED


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\r", "\x0b", "\n"])
def test_a_name_forges_no_outcome(project: Project, mark: str) -> None:
    """What the jail tells has a line for each word, whatever the names in it are."""
    outcome = run(project, SAYS.format("program"), entrypoint=f"/none{mark}seconds{mark}refused{mark}")
    assert outcome.status is RunStatus.NOT_STARTED
    assert "no such file" in outcome.reason


def test_the_interpreter_is_sealed() -> None:
    """Nobody can change the copy, also when nothing runs it."""
    with open(f"/proc/self/fd/{sealed_interpreter()}", "r+b", buffering=0) as copy:
        with pytest.raises(PermissionError):
            copy.write(b"#!")
        for size in (0, 1 << 30):
            with pytest.raises(PermissionError):
                copy.truncate(size)


def test_the_interpreter_stays_executable() -> None:
    """Whoever reaches the copy cannot make it useless for the next run."""
    need(tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 3), "Linux 6.3")
    copy = sealed_interpreter()
    mode = os.fstat(copy).st_mode
    try:
        with pytest.raises(PermissionError):
            os.fchmod(copy, mode & 0o666)
    finally:
        os.fchmod(copy, mode & 0o7777)


# ── how long it lives ────────────────────────────────────────────────────────────────────────────────────────────────

CLINGS = r"""
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, 0);
    for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
    if (fork() == 0) setsid();
    for (;;) if (strcmp(argv[2], "flood") == 0) puts("flood"); else pause();
}"""


@pytest.fixture(params=["root", "ordinary"])
def other(request: pytest.FixtureRequest) -> Iterator[Outside]:
    with outside(request.param) as made:
        yield made


def end(process: subprocess.Popen[bytes]) -> str:
    """Wait for it, and return what it has said."""
    with process:
        assert process.stdout is not None
        return process.stdout.read().decode()


@pytest.mark.usefixtures("hears_all")
@pytest.mark.parametrize("way", ["flood", "time limit", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_outlives_its_run(other: Outside, way: str) -> None:
    """A program that clings to life, and its child, end with the run and with us, whichever way that is."""
    project = Project.at(other.workspace.root, compression="none")
    image = image_of(project, compile_c(other.workspace, CLINGS))
    limits = Limits(seconds=2 if way == "time limit" else 60, output_bytes=50_000)
    with marked() as word:
        process = other.start(image, (word, way), limits)
        if way.startswith("SIG"):
            assert wait_until(True, word), end(process)
            process.send_signal(getattr(signal, way))
        said = end(process)
        if not way.startswith("SIG"):
            assert said.startswith("stopped|") or "not allowed here" in said, said
        assert wait_until(False, word)


def test_what_watches_runs_from_a_copy(other: Outside) -> None:
    """No file of this machine is behind the process that is closest to the program."""
    project = Project.at(other.workspace.root, compression="none")
    with marked() as word:
        process = other.start(image_of(project, compile_c(other.workspace, CLINGS)), (word, "wait"))
        assert wait_until(True, word), end(process)
        programs = processes(word)
        parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in programs}
        for parent in parents - {*programs}:
            assert os.readlink(f"/proc/{parent}/exe").startswith("/memfd:")
        process.kill()
        end(process)


def test_what_watches_is_out_of_reach(project: Project) -> None:
    """The program sees no process but its own, and a signal to all of them reaches nobody else."""
    code = r"""
    #include <dirent.h>
    #include <signal.h>
    #include <stdio.h>
    #include <unistd.h>
    int main(void) {
        DIR *folder = opendir("/proc");
        struct dirent *entry;
        while ((entry = readdir(folder))) if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') puts(entry->d_name);
        printf("%d %d\n", kill(-1, SIGKILL), getppid()); }"""
    assert run(project, code).stdout == "1\n-1 0\n"


# ── how much it takes ────────────────────────────────────────────────────────────────────────────────────────────────

HOARDS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>
static char block[1 << 20];
static int filled(int size) {
    int file = memfd_create("hoard", 0);
    for (int i = 0; i < size; i++) write(file, block, sizeof block);
    return file;
}
static void pass_on(int socket, int file) {
    char space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec data = {"x", 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET; head->cmsg_type = SCM_RIGHTS; head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &file, sizeof(int));
    if (sendmsg(socket, &message, 0) == -1) exit(1);
    close(file);
}
int main(int argc, char **argv) {
    const char *kind = argv[1];
    int size = atoi(argv[2]);
    memset(block, 1, sizeof block);
    if (strcmp(kind, "memfd") == 0) {
        int file = filled(size);
        if (argc > 3) memset(mmap(0, (size_t)size << 20, 3, MAP_SHARED, file, 0), 2, (size_t)size << 20);
        if (argc > 4 && fork() == 0) { mmap(0, (size_t)size << 20, 3, MAP_SHARED | MAP_POPULATE, file, 0); sleep(2); }
    } else if (strcmp(kind, "sysv") == 0) {
        for (int i = 0; i < size; i++) {
            void *place = shmat(shmget(IPC_PRIVATE, sizeof block, 0600), 0, 0);
            memset(place, 1, sizeof block);
            shmdt(place);
        }
    } else if (strcmp(kind, "messages") == 0) {
        for (int i = 0; i < size * 64; i++) {
            struct { long kind; char text[8192]; } message = {1, {0}};
            int queue = msgget(IPC_PRIVATE, 0600);
            while (msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0);
        }
    } else if (strcmp(kind, "sent") == 0) {
        int pair[2];
        socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
        for (int i = 0; i < size; i += 8) pass_on(pair[0], filled(8));
    } else {
        int file = open(kind, O_CREAT | O_WRONLY, 0600);
        for (int i = 0; i < size; i++) if (write(file, block, sizeof block) < 0) break;
        for (int i = 0; i < size; i++) if (argc > 3) write(filled(1), block, 1);
    }
    sleep(2);
    puts("kept");
}"""


@pytest.mark.parametrize(
    "words",
    [("memfd", "200"), ("memfd", "200", "mapped"), ("sysv", "200"), ("messages", "200"), ("sent", "200"),
     ("/data/file", "50", "and memfds")],
    ids=" ".join,
)  # fmt: skip
def test_memory_that_is_not_mapped_counts(project: Project, words: tuple[str, ...]) -> None:
    """What a program keeps where no process has it mapped is memory all the same."""
    outcome = run(project, HOARDS, args=words, settings=ImageSettings(user="0:0", volumes=("/data",)))
    assert (outcome.status, outcome.reason) == (RunStatus.STOPPED, f"stopped at the memory limit of {64 << 20} bytes")


ELUDES = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define MB (1l << 20)
#define SIZE 200
static char block[MB];
static char *map(long size, int kind, int file) {
    char *place = mmap(0, size, PROT_READ | PROT_WRITE, kind | (file < 0 ? MAP_ANONYMOUS : 0), file, 0);
    if (place == MAP_FAILED) exit(1);
    return place;
}
static void keep(void) { sleep(2); puts("kept"); exit(0); }
static void memfds(void) {
    for (int i = 0; i < SIZE; i += 8) {
        int file = memfd_create("hoard", 0);
        for (int j = 0; j < 8; j++) if (write(file, block, MB) != MB) exit(1);
    }
}
static void *mapped(void *unused) {
    sleep(1);
    for (int i = 0; i < SIZE; i++) memset(map(MB, MAP_PRIVATE, -1), 1, MB);
    keep();
    return unused;
}
static void *opened(void *unused) {
    if (syscall(436, 1000, 1001, 2)) exit(1);  // close_range, with CLOSE_RANGE_UNSHARE
    memfds();
    keep();
    return unused;
}
int main(int argc, char **argv) {
    const char *way = argv[1];
    pthread_t thread;
    memset(block, 1, MB);
    if (strcmp(way, "first thread ended") == 0) {
        pthread_create(&thread, 0, mapped, 0);
        syscall(SYS_exit, 0);
    } else if (strcmp(way, "own descriptors") == 0) {
        pthread_create(&thread, 0, opened, 0);
        pause();
    } else if (strcmp(way, "unreadable descriptors") == 0) {
        prctl(PR_SET_DUMPABLE, 0);
        memfds();
    } else if (strcmp(way, "shared, then left") == 0) {
        char *place = map(SIZE * MB, MAP_SHARED, -1);
        for (int i = 0; i < SIZE; i++) { memset(place + i * MB, 1, MB); madvise(place + i * MB, MB, MADV_DONTNEED); }
        munmap(place + 4096, SIZE * MB - 4096);
    } else if (strcmp(way, "copies of a file") == 0) {
        int file = open("/dev/shm/file", O_RDWR | O_CREAT, 0600);
        ftruncate(file, 10 * MB);
        for (int i = 0; i < SIZE; i += 10) memset(map(10 * MB, MAP_PRIVATE, file), 1, 10 * MB);
    } else if (strcmp(way, "tables of pages") == 0) {
        long count = SIZE * 256, each = 2 * MB;
        char *place = mmap(0, count * each, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        madvise(place, count * each, MADV_NOHUGEPAGE);
        for (long i = 0; i < count; i++) *(volatile char *)(place + i * each);
    } else if (strcmp(way, "empty files") == 0) {
        for (int i = 0; i < SIZE * 1024; i++) {
            char name[32];
            sprintf(name, "/dev/shm/%d", i);
            close(open(name, O_CREAT | O_WRONLY, 0600));
        }
    }
    keep();
}"""


@pytest.mark.parametrize(
    "way",
    ["first thread ended", "own descriptors", "unreadable descriptors", "shared, then left", "copies of a file",
     "tables of pages", "empty files"],
)  # fmt: skip
def test_memory_is_found_wherever_it_is(project: Project, way: str) -> None:
    """What the first thread does not show, no mapping shows, or no process may be asked for, counts as well."""
    outcome = run(project, ELUDES, "-static", "-O1", "-pthread", args=(way,))
    assert (outcome.status, outcome.reason) == (RunStatus.STOPPED, f"stopped at the memory limit of {64 << 20} bytes")


LENDS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    int size = 40 << 20;
    memset(malloc(size), 1, size);
    if (vfork() == 0) { usleep(500000); _exit(0); }
    puts("kept");
}"""


def test_memory_lent_to_a_child_counts_once(project: Project) -> None:
    """Until a child of vfork becomes another program it uses its parent's memory, which is then no more than it was."""
    outcome = run(project, LENDS)
    assert (outcome.status, outcome.stdout) == (RunStatus.EXITED, "kept\n"), outcome


BLINDS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
static char block[1 << 20];
int main(void) {
    int file = open("/dev/null", O_RDONLY);
    for (int i = 0; i < 16; i++)
        if (fork() == 0) { for (int j = 0; j < 200000 && dup(file) >= 0; j++); for (;;) pause(); }
    sleep(2);
    int hoard = memfd_create("hoard", 0);
    for (;;) { write(hoard, block, sizeof block); usleep(1000); }
}"""


def test_nobody_blinds_the_watch(project: Project) -> None:
    """Millions of open files keep the watch from looking in time: that itself ends the program."""
    outcome = run(project, BLINDS)
    assert (outcome.status, outcome.reason) == (RunStatus.STOPPED, f"stopped at the memory limit of {64 << 20} bytes")


@pytest.mark.parametrize(
    "words",
    [("memfd", "40", "mapped", "twice"), ("sysv", "40"), ("sent", "40"), ("/data/file", "50")],
    ids=" ".join,
)
def test_memory_counts_once(project: Project, words: tuple[str, ...]) -> None:
    """What is mapped, by several processes, and open as well, is not more memory than it is."""
    outcome = run(project, HOARDS, args=words, settings=ImageSettings(user="0:0", volumes=("/data",)))
    assert (outcome.status, outcome.stdout.splitlines()[-1]) == (RunStatus.EXITED, "kept"), outcome


def test_a_control_group_counts_where_there_is_one(project: Project) -> None:
    """Where this machine delegates one, the kernel's count ends the program, in the same words, and it is removed."""
    with cgroups.control_group(LIMITS) as folder:
        if not folder:
            pytest.skip("needs a delegated control group")
    outcome = run(project, HOARDS, args=("memfd", "200"))
    assert (outcome.status, outcome.reason) == (RunStatus.STOPPED, f"stopped at the memory limit of {64 << 20} bytes")
    assert not Path(folder).exists()


URGES = r"""
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
int main(void) {
    struct sched_param first = {1};
    struct rlimit core;
    int real = sched_setscheduler(0, SCHED_FIFO, &first), nice = setpriority(PRIO_PROCESS, 0, -5);
    getrlimit(RLIMIT_CORE, &core);
    printf("%d %d %d", real, nice, (int) core.rlim_cur);
}"""


def test_no_program_goes_first(project: Project) -> None:
    """Where the caller may, a program may not take the processors from what watches it, nor leave a core outside."""
    kinds = resource.RLIMIT_RTPRIO, resource.RLIMIT_NICE
    before = [resource.getrlimit(kind) for kind in kinds]
    try:
        for kind in kinds:
            with contextlib.suppress(ValueError):  # root of a container may not either
                resource.setrlimit(kind, (30, 30))
        assert run(project, URGES).stdout == "-1 -1 1"
    finally:
        for kind, limits in zip(kinds, before, strict=True):
            resource.setrlimit(kind, limits)


# ── where it may write, and what it may open ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("workdir", "volumes"),
    [("/data", ("/data",)), ("/", tuple(f"/data/{number}" for number in range(300)))],
    ids=["that it works in", "many"],
)
def test_volumes_may_be(project: Project, workdir: str, volumes: tuple[str, ...]) -> None:
    """A program may work in a volume, and have hundreds."""
    run(project, SAYS.format("program"))  # or there are no overlays, and a reason to skip
    settings = ImageSettings(workdir=workdir, volumes=volumes)
    image = replace(
        image_of(project, compile_c(project.workspace, SAYS.format("program"))), additions=Additions(settings)
    )
    outcome = LocalEngine(project.workspace, project.roots).run(image, limits=LIMITS)
    assert outcome.stdout == "program 1", outcome


def test_a_tmp_that_is_the_root(project: Project) -> None:
    """A /tmp of the base that leads to / is left as it is, and what is on the disk does not count as memory."""
    outcome = run(project, SAYS.format("program"), base=root_with(project, {"tmp": "/"}))
    assert outcome.status is RunStatus.EXITED, outcome


@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/sys", "/dev", "/dev/shm", "/link", "/link/self"])
def test_no_volume_covers_the_kernels_own(project: Project, path: str) -> None:
    """/proc, /sys and /dev stay what they are, also behind links of the base."""
    settings = ImageSettings(volumes=(path,))
    outcome = run(project, SAYS.format("x"), base=root_with(project, {"link": "/proc"}), settings=settings)
    assert outcome.status is RunStatus.NOT_RUN
    assert "leads into /proc, /sys or /dev" in outcome.reason


def test_a_tmp_that_leads_into_proc(project: Project) -> None:
    """Nothing is put over /proc where the base's /tmp leads there: the watch goes on."""
    base = root_with(project, {"tmp": "/proc"})
    outcome = run(project, HOARDS, base=base, args=("memfd", "200"))
    assert outcome.status is RunStatus.STOPPED or "/tmp leads into /proc" in outcome.reason


@pytest.mark.parametrize("path", ["/proc/self/fd/0", "/proc/self/fd", "/link/1", "/dev/pts"])
def test_no_work_is_done_in_the_kernels_own(project: Project, path: str) -> None:
    """A working folder cannot lead out of the root, or into what is the kernel's."""
    base = root_with(project, {"link": "/proc"})
    outcome = run(project, SAYS.format("x"), base=base, settings=ImageSettings(workdir=path))
    assert outcome.status in (RunStatus.NOT_RUN, RunStatus.NOT_STARTED), outcome


def test_keys_of_the_caller_stay_outside(project: Project) -> None:
    """A program reads no key of the session that it was started from, and asks for none."""
    code = r"""
    #include <errno.h>
    #include <stdio.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(void) {
        char text[4096];
        int length = read(0, text, 0), file = syscall(SYS_openat, -100, "/proc/keys", 0);
        if (file >= 0) length = read(file, text, sizeof text);
        long answer = syscall(SYS_keyctl, 11, -3, text, sizeof text);
        printf("%d %ld %d", length, answer, errno); }"""
    secret = (
        "import ctypes, sys; libc = ctypes.CDLL(None)\n"
        f"number = {{'x86_64': (250, 248), 'aarch64': (219, 217)}}[{os.uname().machine!r}]\n"
        "libc.syscall(number[0], 1, None)\n"
        "assert libc.syscall(number[1], b'user', b'fromscratch', b'secret', 6, -3) > 0\n"
        "assert b'fromscratch' in open('/proc/keys', 'rb').read()\n"
    )
    image = image_of(project, compile_c(project.workspace, code))
    import pickle

    from tests.run.outside import _RUNNER, ROOT

    engine = LocalEngine(project.workspace, project.roots)
    done = subprocess.run(
        [sys.executable, "-c", secret + _RUNNER], cwd=ROOT, input=pickle.dumps((engine, image, (), LIMITS)),
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b"exited|0|0 -1 1", done.stderr
