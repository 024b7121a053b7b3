"""The gate as its users have it: what fails, what warns, what it is compared with, and what a runner is told."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from recipes.support.shell import Completed
from tests.cli import HELLO, add, call, error, fromscratch
from tests.fixtures_registry import LocalRegistry
from tests.need import need_tool
from tests.report.test_gates import commands
from tests.schemas import read

LARGER = '#include <cstdio>\nstatic char page[65536] = "hello";\nint main() { std::puts(page); return page[99]; }\n'
"""The same program, larger by a page of data that it has to bring along."""


def check(project: Path, *words: str, **variables: str) -> Completed:
    return call(project, "check", "--engine=local", *words, **variables)


def wrong(done: Completed) -> tuple[int, str]:
    """The exit code and the message of a task that failed."""
    return done.exit_code, next(line for line in error(done).splitlines() if line.startswith("error: "))


def grow(project: Path) -> None:
    (project / "samples/hi/main.cpp").write_text(LARGER)


def git(folder: Path, *words: str) -> str:
    identity = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    nobody = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    command = [need_tool("git"), "-C", str(folder), *words]
    return subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, **identity, **nobody}
    ).stdout.decode()


# ── growth between two builds ────────────────────────────────────────────────────────────────────────────────────────


def test_growth_is_found(project: Path) -> None:
    """A baseline of one build holds the next against it: by a share, by bytes, as an error or as a warning."""
    assert check(project, "--write-baseline=sizes.json").exit_code == 0
    first = (project / "sizes.json").read_bytes()
    (size,) = read("sizes", first)["sizes"]
    assert check(project, "--baseline=sizes.json", "--max-growth=0%").exit_code == 0
    grow(project)
    done = check(project, "--baseline=sizes.json", "--max-growth=2%", "--format=json")
    assert done.exit_code == 3
    document = read("check", done.stdout)
    assert (document["status"], document["baseline"]) == ("failed", "sizes.json")
    (change,) = document["changes"]
    assert change["image_growth_bytes"] >= 60_000
    assert change["before"] == size
    assert change["now"]["image_bytes"] - size["image_bytes"] == change["image_growth_bytes"]
    failed = {gate["gate"] for gate in document["gates"] if gate["status"] == "failed"}
    assert "image-growth" in failed
    assert check(project, "--baseline=sizes.json", "--max-growth=10MB").exit_code == 0
    warned = check(project, "--baseline=sizes.json", "--warn-growth=10kB")
    assert warned.exit_code == 0
    assert b"\nwarning: hi, linux/" in warned.stdout
    assert (project / "sizes.json").read_bytes() == first


def test_a_baseline_is_the_same_file_again(project: Path) -> None:
    """Nothing has changed, so no byte of it has; a sample that was not asked for keeps its size, one that is gone does
    not.
    """
    add(project, "ho", HELLO)
    assert check(project, "--write-baseline=sizes.json").exit_code == 0
    both = (project / "sizes.json").read_bytes()
    assert [size["sample"] for size in read("sizes", both)["sizes"]] == ["hi", "ho"]
    assert check(project, "--samples=ho", "--write-baseline=sizes.json").exit_code == 0
    assert (project / "sizes.json").read_bytes() == both
    (project / "samples/ho/main.cpp").unlink()
    (project / "samples/ho").rmdir()
    done = check(project, "--baseline=sizes.json", "--write-baseline=sizes.json")
    assert b"vanished: ho, linux/" in done.stdout
    assert [size["sample"] for size in read("sizes", (project / "sizes.json").read_bytes())["sizes"]] == ["hi"]


def test_two_branches_can_be_merged(tmp_path: Path) -> None:
    """Each has changed another sample, next to each other in the file: git merges them without a conflict."""
    from recipes.gate.values import ImageSize
    from recipes.model import Platform
    from recipes.report.document import dumps
    from recipes.report.gates import sizes_document

    def write(*sizes: int) -> None:
        found = [ImageSize(f"s{n}", Platform(), "r", "scratch", size, size) for n, size in enumerate(sizes)]
        (tmp_path / "sizes.json").write_text(dumps(sizes_document(found)))

    git(tmp_path, "init", "-q", "-b", "main")
    for branch, sizes in (("main", (1, 2, 3)), ("left", (1, 20, 3)), ("right", (1, 2, 30))):
        if branch != "main":
            git(tmp_path, "checkout", "-q", "-b", branch, "main")
        write(*sizes)
        git(tmp_path, "add", "sizes.json")
        git(tmp_path, "commit", "-q", "-m", branch)
    git(tmp_path, "merge", "-q", "--no-edit", "left")
    merged = (tmp_path / "sizes.json").read_bytes()
    write(1, 20, 30)
    assert (tmp_path / "sizes.json").read_bytes() == merged


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_projects_budget_counts(project: Path) -> None:
    """A sample's own limit, the project's, and the command line's before both; a typing mistake ends all of it."""
    table = '[tool.fromscratch.budget]\nmax_image = "1kB"\n[tool.fromscratch.budget.hi]\nmax_image = "100MB"\n'
    (project / "pyproject.toml").write_text(table)
    assert check(project).exit_code == 0
    assert check(project, "--max-image=1kB").exit_code == 3
    (project / "pyproject.toml").write_text(table.replace("budget.hi", "budget.hii").replace("100MB", "2MB"))
    code, message = wrong(check(project))
    assert code == 2
    assert message.endswith("[tool.fromscratch.budget.hii]: unknown sample 'hii'")
    (project / "pyproject.toml").write_text(table.replace("budget.hi]", "budget.hi]\nwarn_imag = '2MB'\n"))
    assert b"did you mean 'warn_image'?" in check(project).stderr


def test_a_limit_that_cannot_be_looked_at_is_said(project: Path) -> None:
    """Growth that the budget limits, where there is nothing to compare with: also to those who want it quiet."""
    (project / "pyproject.toml").write_text('[tool.fromscratch.budget]\nwarn_growth = "1%"\n')
    words = ("--quiet", "check", "--engine=local", "--no-run")
    assert b"growth, which is not looked at" in fromscratch(project, *words).stderr
    assert fromscratch(project, *words, "--write-baseline=sizes.json").exit_code == 0
    assert fromscratch(project, *words, "--baseline=sizes.json").stderr == b""


def test_builds_and_comparisons_have_the_same_gate(project: Path) -> None:
    """The outcome is on stderr there, and stdout is what it is without; --plan builds nothing and asks nothing."""
    plain = call(project, "build-static", "--sample=hi", "--engine=local", "--no-run", "--format=json")
    gated = call(
        project, "build-static", "--sample=hi", "--engine=local", "--no-run", "--format=json", "--max-image=1kB"
    )
    assert (plain.exit_code, gated.exit_code) == (0, 3)
    assert plain.stdout == gated.stdout
    assert b"\nfailed: hi, linux/" in gated.stderr
    words = ("compare-sizes", "--bases=scratch", "--recipes=zig-static-small", "--no-run", "--format=csv")
    assert call(project, *words, "--max-image=100MB", "--warn-image=1kB").exit_code == 0
    compared = call(project, *words, "--max-image=1kB", "--summary=summary.md", "--write-baseline=sizes.json")
    assert compared.exit_code == 3
    assert compared.stdout == call(project, *words).stdout
    assert (project / "summary.md").read_text().startswith("### Image sizes: not within budget\n")
    assert len(read("sizes", (project / "sizes.json").read_bytes())["sizes"]) == 1


def test_a_comparison_without_an_image_does_not_pass(project: Path) -> None:
    """A sample of which nothing could be made is no sample within its budget, nor one that is gone."""
    assert check(project, "--no-run", "--write-baseline=sizes.json").exit_code == 0
    words = ("--bases=scratch", "--recipes=go-static", "--no-run", "--baseline=sizes.json", "--max-image=100MB")
    done = call(project, "compare-sizes", *words)
    assert done.exit_code != 0
    assert b"no image of it was made" in done.stderr
    assert b"vanished" not in done.stderr


def test_what_does_not_build_stops_no_other(project: Path) -> None:
    """It is named with the reason, its size is kept in the baseline, and the exit code is its own."""
    add(project, "broken", "int main() { return missing; }\n")
    assert check(project, "--samples=hi", "--write-baseline=sizes.json").exit_code == 0
    done = check(project, "--baseline=sizes.json", "--format=json", "--sarif=log.sarif")
    assert done.exit_code == 5
    document = read("check", done.stdout)
    assert [measure["sample"] for measure in document["measures"]] == ["hi"]
    assert [each["name"].partition(" ")[0] for each in document["failed"]] == ["broken"]
    assert "missing" in document["failed"][0]["reason"]
    assert document["vanished"] == []
    (run,) = json.loads((project / "log.sarif").read_bytes())["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False


def test_whole_images_can_be_checked(project: Path) -> None:
    """One that others have made: its size is that of the image it was made from, and it is judged, not run."""
    assert call(project, "build-static", "--sample=hi", "--engine=local", "--no-run").exit_code == 0
    assert call(project, "export", "hi:latest", "--to=oci:layout").exit_code == 0
    built = read("check", check(project, "--samples=hi", "--no-run", "--format=json").stdout)["measures"][0]
    done = check(project, "--samples=oci:layout", "--max-image=1kB", "--format=json")
    assert done.exit_code == 3
    measure = read("check", done.stdout)["measures"][0]
    for key in ("image_bytes", "download_bytes", "digest", "runs"):
        assert measure[key] == built[key]
    assert call(project, "export", "hi:latest", "--to=hi.tar").exit_code == 0
    assert "has no manifest" in wrong(check(project, "--samples=docker-archive:hi.tar"))[1]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--max-image=2"], 2, b"it has no unit: 2kB, 2MB?"),
        (["--max-growth=2%"], 2, b"require --baseline"),
        (["--baseline=nowhere.json"], 2, b"no such baseline: 'nowhere.json'"),
        (["--baseline=tasks.py"], 2, b"tasks.py is not a baseline"),
        (["--baseline=oci:nowhere"], 6, b"oci:nowhere is not an OCI layout"),
        (["--samples=hii"], 2, b"did you mean 'hi'?"),
        (["--format=xml"], 2, b"unknown format"),
        (["--max-image=1kB"], 3, b""),
        (["--max-image=100MB"], 0, b""),
        (["--write-baseline=/proc/nowhere/sizes.json"], 2, b"cannot write"),
    ],
)
def test_the_exit_code_says_what_kind_of_answer_it_is(
    shared_project: Path, words: list[str], code: int, text: bytes
) -> None:
    """0 for what passes, 2 for what was asked wrongly, 3 for a limit that was not kept."""
    done = check(shared_project, "--no-run", *words)
    assert done.exit_code == code, done.stderr.decode()
    assert text in done.stderr


# ── baselines of git ─────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE_BRANCH = "x/$(touch${IFS}pwned);`touch${IFS}pwned`&'\"|<>!#{}"


@pytest.fixture
def repository(project: Path) -> Path:
    """The project in a repository, below its top, with a baseline on main that later work has outgrown."""
    assert check(project, "--write-baseline=sizes.json").exit_code == 0
    top = project.parent
    git(top, "init", "-q", "-b", "main")
    (top / ".gitattributes").write_text("*.json diff=evil\n")
    git(top, "config", "diff.evil.textconv", "touch pwned; cat")
    git(top, "add", ".gitattributes", "--", f"{project.name}/sizes.json")
    git(top, "commit", "-q", "-m", "sizes")
    git(top, "branch", HOSTILE_BRANCH)
    (project / "sizes.json").write_text("not this one")
    grow(project)
    return project


@pytest.mark.parametrize("words", ["main", "main:sizes.json", "HEAD", "main~0", "@", f"{HOSTILE_BRANCH}:./sizes.json"])
def test_the_baseline_of_a_commit(repository: Path, words: str) -> None:
    """The file as it is there, whatever a branch is called, without a checkout and without running anything."""
    done = check(repository, f"--baseline=git:{words}", "--max-growth=2%")
    assert done.exit_code == 3, done.stderr.decode()
    assert f"changes since git:{words}".encode() in done.stdout
    assert (repository / "sizes.json").read_text() == "not this one"
    assert not [*repository.parent.rglob("pwned")]


@pytest.mark.parametrize(
    "words",
    [
        "--output=pwned",
        "-h",
        "",
        "main..HEAD",
        "a b",
        "a\nb",
        "main:/etc/passwd",
        "main:nowhere.json",
        "main:..",
        "nowhere",
    ],
)
def test_what_is_no_commit_or_file_is_refused(repository: Path, words: str) -> None:
    """Among them what git would take for an option."""
    code, message = wrong(check(repository, f"--baseline=git:{words}"))
    assert code == 2
    assert any(what in message for what in ("the name of a commit", "a path in", "has no baseline", "has no commit"))
    assert not [*repository.parent.rglob("pwned")]


def test_a_shallow_clone_is_told_how_to_get_it(repository: Path) -> None:
    done = check(repository, "--baseline=git:origin/main")
    assert wrong(done) == (2, "error: git has no commit 'origin/main' here")
    assert b"git fetch --depth=1 origin main" in done.stderr


# ── baselines of registries ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_baseline_of_a_registry(project: Path, registry: LocalRegistry, docker_config: Path) -> None:
    """An image by its digest, or what a tag stands for now; it is for one sample."""
    name = f"{registry.host}/gate"
    pushed = call(project, "push", "hi", f"--to={name}:1", DOCKER_CONFIG=str(docker_config.parent))
    reference = f"docker://{pushed.stdout.decode().strip()}"
    assert "@sha256:" in reference
    assert check(project, f"--baseline={reference}", "--max-growth=0B").exit_code == 0
    grow(project)
    done = check(project, f"--baseline={reference}", "--max-growth=2%", "--format=json")
    assert done.exit_code == 3
    (change,) = read("check", done.stdout)["changes"]
    assert change["image_growth_bytes"] >= 60_000
    assert check(project, f"--baseline=docker://{name}:1", "--max-growth=2%").exit_code == 3
    assert call(project, "push", "hi", f"--to={name}:1", DOCKER_CONFIG=str(docker_config.parent)).exit_code == 0
    assert check(project, f"--baseline=docker://{name}:1", "--max-growth=0%").exit_code == 0
    add(project, "ho", HELLO)
    assert wrong(check(project, f"--baseline={reference}"))[1].endswith(
        "is a baseline for one sample, and 2 are checked"
    )
    assert wrong(check(project, "--samples=hi", f"--baseline=docker://{name}:2"))[0] == 6


# ── in GitHub's Actions ──────────────────────────────────────────────────────────────────────────────────────────────

FORGING = """#include <cstdio>
int main() {
    std::puts("::set-output name=a::forged");
    std::puts("  ::add-mask::forged");
    std::puts("before ##[error]forged");
    return 1;
}
"""


def test_a_program_commands_no_runner(project: Path) -> None:
    """What it writes is shown, and is no command of the runner; ours are, on stderr."""
    add(project, "forging", FORGING, 'expect = "nothing"\n')
    for words in (["build-static", "--sample=forging"], ["check", "--samples=forging"], ["check", "--format=json"]):
        done = call(project, *words, "--engine=local", GITHUB_ACTIONS="true")
        assert done.exit_code == 3
        assert commands(done.stdout.decode()) == []
        assert all("title" in properties for _, properties, _ in commands(done.stderr.decode()))
    document = read("check", done.stdout)
    forging = next(measure for measure in document["measures"] if measure["sample"] == "forging")
    assert forging["runs"] is False
    ours = commands(done.stderr.decode())
    assert [level for level, _, _ in ours] == ["error"]


def test_annotations_are_for_the_runner_alone(project: Path) -> None:
    words = ("--max-image=1kB", "--warn-download=1B")
    assert commands(check(project, *words).stderr.decode()) == []
    found = commands(check(project, *words, GITHUB_ACTIONS="true").stderr.decode())
    assert [(level, properties.get("file")) for level, properties, _ in found] == [
        ("error", "samples/hi/main.cpp"),
        ("warning", "samples/hi/main.cpp"),
    ]


def test_a_steps_summary_is_added_to(project: Path) -> None:
    """It belongs to all steps of the job; any other file is replaced."""
    step, other = project / "step.md", project / "other.md"
    for file in (step, other):
        file.write_text("# of another step\n")
        for _ in range(2):
            assert check(project, f"--summary={file}", GITHUB_STEP_SUMMARY=str(step)).exit_code == 0
    assert step.read_text().startswith("# of another step\n")
    assert [file.read_text().count("### Image sizes: within budget") for file in (step, other)] == [2, 1]


def test_a_log_is_about_findings_too(project: Path) -> None:
    """What a verdict says of an image is in it with its code, also where no limit is set."""
    add(project, "dynamic", HELLO)
    words = ("--samples=dynamic", "--recipe=gcc-dynamic", "--no-run", "--sarif=log.sarif")
    assert check(project, *words).exit_code == 3
    log: dict[str, Any] = json.loads((project / "log.sarif").read_bytes())
    found = {result["ruleId"]: result["level"] for result in log["runs"][0]["results"]}
    assert found == {"gate/runs": "error", "interpreter-missing": "error"}
