"""The GitHub Action: what the runner is given to read is valid, and its shell steps do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.cli import ROOT, environment
from tests.need import need_tool
from tests.schemas import read

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_bytes())
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")


def published(name: str) -> Draft7Validator:
    return Draft7Validator(json.loads((ROOT / "tests/published" / name).read_bytes()))


def examples() -> list[dict[Any, Any]]:
    """The YAML of docs/ci.md, as it stands there."""
    return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def workflow() -> dict[str, Any]:
    """The workflow of docs/ci.md. YAML 1.1, which PyYAML reads, takes the key `on` for true."""
    return {"on" if key is True else str(key): value for key, value in examples()[0].items()}


def test_the_action_is_one() -> None:
    """By the schema that editors have for it."""
    published("github-action.json").validate(ACTION)
    assert not published("github-action.json").is_valid({**ACTION, "runs": {"using": "composite"}})


def test_the_documented_workflow_is_one() -> None:
    """By the schema for workflows; and its step with the action has inputs that the action has."""
    published("github-workflow.json").validate(json.loads(json.dumps(workflow())))
    (step,) = (step for step in workflow()["jobs"]["images"]["steps"] if "fromscratch@" in step.get("uses", ""))
    assert {*step["with"]} <= {*ACTION["inputs"]}


def test_no_expression_is_part_of_a_script() -> None:
    """GitHub puts the value of an expression into the text of a script: a title of a pull request would be code there.
    Variables hold it instead, in the action and in the documented workflow.
    """
    scripts = [step["run"] for step in (*STEPS.values(), *workflow()["jobs"]["images"]["steps"]) if "run" in step]
    assert len(scripts) == 4
    assert not [script for script in scripts if "${{" in script]


def test_the_caches_are_those_of_the_docs() -> None:
    """The folders that are kept are those that docs/ci.md names, for GitHub and for GitLab."""
    kept = set(re.findall(r"build/\w+", STEPS["Keep what was built"]["with"]["path"]))
    assert kept == {"build/cache", "build/images", "build/bases"} == {*examples()[1]["images"]["cache"]["paths"]}
    assert all(f"`{folder}`" in PAGE for folder in kept)


# ── the steps, as a runner runs them ─────────────────────────────────────────────────────────────────────────────────


class Runner:
    """What a runner gives a step: files for outputs, paths and summaries, and the inputs as variables."""

    def __init__(self, folder: Path, checkout: Path, commands: Path) -> None:
        self.checkout, self.commands = checkout, commands
        self.temporary = folder / "runner's temp"
        self.temporary.mkdir()
        self.files = {f"GITHUB_{name}": folder / name for name in ("OUTPUT", "PATH", "STEP_SUMMARY")}
        for file in self.files.values():
            file.touch()

    def run(self, name: str, **inputs: str) -> subprocess.CompletedProcess[bytes]:
        """The step of that name, by the command that `shell: bash` stands for."""
        step = STEPS[name]
        assert step["shell"] == "bash"
        script = self.temporary / "step.sh"
        script.write_text(step["run"])
        given = {key: self._value(text, inputs) for key, text in step["env"].items()}
        path = os.pathsep.join(
            (str(self.commands), *self.files["GITHUB_PATH"].read_text().splitlines(), os.environ["PATH"])
        )
        variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.checkout),
            "RUNNER_TEMP": str(self.temporary),
            **{key: str(file) for key, file in self.files.items()},
        }
        return subprocess.run(
            [need_tool("bash"), "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.checkout,
            env={**environment(**variables), **given, "PATH": path},
            capture_output=True,
            timeout=500,
            check=False,
        )

    def _value(self, text: str, inputs: dict[str, str]) -> str:
        """The value of an expression: an input, with its default where it is not given, or where the action is."""
        match = re.fullmatch(r"\$\{\{ (?:inputs\.([a-z-]+)|(github\.action_path)) \}\}", text)
        if match is None:
            assert "${{" not in text
            return text
        return (
            str(ROOT)
            if match[2]
            else inputs.get(match[1].replace("-", "_"), str(ACTION["inputs"][match[1]]["default"]))
        )

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.files["GITHUB_OUTPUT"].read_text().splitlines())


@pytest.fixture
def runner(project: Path, tmp_path: Path) -> Runner:
    """A runner whose checkout is a project, and on whose PATH is `fromscratch`, as its console script calls it."""
    commands = tmp_path / "commands"
    commands.mkdir()
    script = commands / "fromscratch"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from recipes.tasks.program import main\nmain()\n"
    )
    script.chmod(0o755)
    return Runner(tmp_path, project, commands)


def test_a_check_that_passes(runner: Runner) -> None:
    """Inputs become options, each one word; the outcome is in the summary, the files and the outputs."""
    done = runner.run(
        "Check sizes", max_image="100MB", samples="hi", json="out.json", sarif="a log.sarif", options="--no-run"
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    assert runner.outputs() == {"status": "passed", "exit-code": "0"}
    assert runner.files["GITHUB_STEP_SUMMARY"].read_text().startswith("### Image sizes: within budget\n")
    assert read("check", (runner.checkout / "out.json").read_bytes())["measures"][0]["sample"] == "hi"
    assert json.loads((runner.checkout / "a log.sarif").read_bytes())["version"] == "2.1.0"


def test_a_check_that_fails(runner: Runner) -> None:
    """The step ends with the command's exit code, after the outputs are written; annotations go to the log."""
    done = runner.run("Check sizes", max_image="1kB", options="--no-run\n--engine=local\n", summary="false")
    assert done.returncode == 3
    assert runner.outputs() == {"status": "failed", "exit-code": "3"}
    assert re.search(rb"^::error title=hi%2C linux/\w+,file=samples/hi/main.cpp::", done.stderr, re.MULTILINE)
    assert runner.files["GITHUB_STEP_SUMMARY"].read_text() == ""


def test_a_check_that_was_asked_wrongly(runner: Runner) -> None:
    """No answer is no pass."""
    done = runner.run("Check sizes", max_image="2")
    assert done.returncode == 2
    assert runner.outputs() == {"status": "", "exit-code": "2"}
    assert b"error: not a limit" in done.stderr


@pytest.mark.parametrize("text", ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a b * $HOME", "--version"])
def test_an_input_is_one_word(runner: Runner, text: str) -> None:
    """Whatever is in it, it is the value of its option."""
    done = runner.run("Check sizes", samples=text, baseline=text, options="--no-run")
    assert done.returncode == 2
    assert b"unknown sample" in done.stderr or b"no such" in done.stderr
    assert text.encode() in done.stderr
    assert not [*runner.checkout.rglob("pwned")]


@pytest.mark.slow
def test_the_command_is_installed(runner: Runner) -> None:
    """Into an environment of its own, and on the PATH of the steps that follow."""
    (runner.commands / "fromscratch").unlink()
    done = runner.run("Install fromscratch", extras="", python=sys.executable)
    assert done.returncode == 0, done.stderr.decode()
    (folder,) = runner.files["GITHUB_PATH"].read_text().splitlines()
    assert os.listdir(folder) == ["fromscratch"]
    found = shutil.which("fromscratch", path=folder)
    assert found
    assert subprocess.run([found, "--version"], check=True, capture_output=True).stdout.startswith(b"fromscratch ")
    assert runner.run("Check sizes", samples="/bin/true", options="--base=bundle\n--no-run").returncode == 0
