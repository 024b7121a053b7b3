"""Where things are built, and what they are called there."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

from recipes.model import Platform, Sample
from recipes.support.workspace import Workspace


def cell(sample: Sample, recipe: str, platform: Platform, workspace: Workspace) -> Path:
    """Where this combination is built: always the same place, and no other combination's.

    What a build system makes is built there as a whole, whichever of its programs is wanted.
    """
    if sample.target:
        sample = replace(sample, name=sample.folder.name or "root")
    return sample_folder(workspace.build / "work", sample, workspace) / recipe / str(platform).replace("/", "-")


def log_of(work: Path, title: str) -> Path:
    """Where the output of the step `title` of a project's build is kept, of which `work` is the cell."""
    top = built_in(work)
    return top / "logs" / f"{slug('-'.join((*work.relative_to(top / 'work').parts, title)))}.log"


def built_in(work: Path) -> Path:
    """The whole build folder, from a cell in it: what is made there is not an input of any build."""
    return work.parents[3]


def sample_folder(parent: Path, sample: Sample, workspace: Workspace) -> Path:
    """The sample's own folder below `parent`: two samples of one name, in other places, have two."""
    own = sample.folder == workspace.samples / sample.name
    return parent / slug(sample.name, "" if own else f"{os.fspath(sample.folder)}{sample.module}")


def slug(text: str, salt: str = "") -> str:
    """A plain file name for any text; another one for every other text (and `salt`)."""
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", text)[:60].lstrip("-.") or "_"
    if plain == text and not salt:
        return plain
    return f"{plain}-{hashlib.sha256(os.fsencode(text) + b'/' + os.fsencode(salt)).hexdigest()[:10]}"


def usable(folder: str | None) -> bool:
    """Whether files can be made in `folder`, or it can be made."""
    if not folder or not os.path.isabs(folder):
        return False
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
