"""Tests of recipes/compile/files.py: which entries of a folder count."""

from __future__ import annotations

from pathlib import Path

from recipes.compile.files import entries_below


def test_what_is_below_a_folder(tmp_path: Path) -> None:
    """Files and links, through links to folders too, each folder once; a link to itself hides nothing behind it."""
    for name in ("a", "z", "inner/y", "inner/.git/config", "build/x"):
        (tmp_path / "top" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "top" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/w").touch()
    for name, target in {"c": "c", "d": "gone", "e": "../elsewhere", "f": "..", "g": "inner", "inner/h": ".."}.items():
        (tmp_path / "top" / name).symlink_to(target)
    found = [
        (str(Path(entry.path).relative_to(tmp_path / "top")), is_file)
        for entry, is_file in entries_below(tmp_path / "top", tmp_path / "top/build")
    ]
    links = [(name, False) for name in "cdefg"]
    assert found == [("a", True), *links, ("z", True), ("e/w", True), ("g/h", False), ("g/y", True)]
