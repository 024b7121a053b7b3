"""Layers, one on top of the other → the tree that an engine would show.

Engines unpack every layer into a folder of its own and have overlayfs stack these. So a member's folder is resolved
inside its own layer (links followed, absolute ones from the root, `..` never above it, missing folders made). A link of
a lower layer is not followed: a folder of that name takes its place. A folder on a folder is one of both; anything else
replaces what is below. A whiteout takes away what lower layers have and never what its own layer has, whatever comes
first. What cannot be placed is left out and recorded, never guessed.
Source: OCI image-spec, "Image Layer Filesystem Changeset"; Linux, Documentation/filesystems/overlayfs.rst; moby,
`daemon/graphdriver/overlay2` and `pkg/archive`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from recipes.errors import BadArchive
from recipes.rootfs.tarindex import Member
from recipes.rootfs.tree import Skipped

LINKS_IN_A_ROW = 40
_LONGEST_PATH, _LONGEST_NAME = 4096, 255
_MOST_NODES = 2_000_000
_MOST_LINK_PARTS = 20_000_000
_MOST_PATH_BYTES = 256 << 20
_MOST_RECORDED = 100
_NO_FOLDER = "something on the way to it is not a folder"


class Node:
    """A name while the layers are put together. `children` is None for what is not a folder.

    `layer` holds the content. Of lower layers `hidden` names of the folder are taken away, where it is `opaque` all.
    Hard links share a node.
    """

    __slots__ = ("children", "hidden", "inode", "layer", "member", "opaque")

    def __init__(self, member: Member, layer: int, inode: int) -> None:
        self.member = member
        self.layer = layer
        self.inode = inode
        self.children: dict[bytes, Node] | None = {} if member.kind == "dir" else None
        self.hidden: set[bytes] = set()
        self.opaque = False


_IMPLIED = Member(name=b"", kind="dir", mode=0o755, uid=0, gid=0, size=0, mtime=0, target=b"", offset=0)


class Merger:
    """Call `add` for each layer, from the lowest, then walk."""

    def __init__(self) -> None:
        self.root = Node(_IMPLIED, 0, 0)
        self._own = self.root
        self.skipped: list[Skipped] = []
        self._nodes = 0
        self._link_parts = 0

    def add(self, members: Iterable[Member], layer: int) -> None:
        """Raises: BadArchive."""
        self._own = Node(_IMPLIED, layer, 0)
        for member in members:
            parts = self._parts(member)
            if parts is None:
                continue
            if parts and parts[-1].startswith(b".wh."):
                self._white_out(parts[:-1], parts[-1][4:], member, layer)
            else:
                self._place(parts, member, layer)
        self._stack(self._own)

    def walk(self) -> Iterator[tuple[bytes, bytes, Node]]:
        """Folder, name and node of everything beneath the root; folders without slashes at their ends."""
        stack: list[tuple[bytes, Node]] = [(b"", self.root)]
        budget = _MOST_PATH_BYTES
        while stack:
            folder, node = stack.pop()
            for name, child in (node.children or {}).items():
                budget -= len(folder) + len(name)
                if budget < 0:
                    raise BadArchive("the names of the layers take more memory than any image's do")
                yield folder, name, child
                if child.children:
                    stack.append((folder + b"/" + name, child))

    def _skip(self, member: Member, why: str) -> None:
        if len(self.skipped) < _MOST_RECORDED:
            self.skipped.append(Skipped(os.fsdecode(member.name[:_LONGEST_PATH]), why))

    def _parts(self, member: Member) -> list[bytes] | None:
        """The names from the root to the member; None where it is left out."""
        parts = [part for part in member.name.split(b"/") if part not in (b"", b".")]
        why = ""
        if len(member.name) >= _LONGEST_PATH or len(member.target) >= _LONGEST_PATH:
            why = "its path is too long"
        elif b".." in parts:
            why = "it leads out of its folder with .."
        elif any(len(part) > _LONGEST_NAME for part in parts):
            why = "its name is too long"
        elif not member.kind:
            why = "no engine unpacks this type of member"
        elif not parts and member.kind != "dir":
            why = "the root can only be a folder"
        if not why:
            return parts
        self._skip(member, why)
        return None

    def _white_out(self, parent: list[bytes], name: bytes, member: Member, layer: int) -> None:
        opaque = name == b".wh..opq"
        if not opaque and (name in (b"", b".", b"..") or name.startswith(b".wh.")):
            self._skip(member, "it is not a whiteout, and names with .wh. are reserved for them")
            return
        folder = self._folder(parent, create=True, layer=layer)
        if folder is None:
            self._skip(member, _NO_FOLDER)
        elif opaque:
            folder.opaque = True
        else:
            folder.hidden.add(name)

    def _place(self, parts: list[bytes], member: Member, layer: int) -> None:
        if not parts:
            self._own.member = member
            return
        folder = self._folder(parts[:-1], create=True, layer=layer)
        if folder is None or folder.children is None:
            self._skip(member, _NO_FOLDER)
            return
        there = folder.children.get(parts[-1])
        if member.kind == "hardlink":
            target = self._linked(member)
            if target is None or target.children is not None:
                self._skip(member, "it is a hard link to a file that its layer does not have before it")
            else:
                folder.children[parts[-1]] = self._link(target, member)
            return
        if member.kind == "dir" and there is not None and there.children is not None:
            there.member = member
            return
        folder.children[parts[-1]] = self._new(member, layer)

    def _link(self, target: Node, member: Member) -> Node:
        """`target`, which from now on has the owner and the mode that the link's own header gives."""
        self._count()
        if target.member.kind != "symlink":
            target.member = target.member._replace(mode=member.mode, uid=member.uid, gid=member.gid)
        return target

    def _stack(self, layer: Node) -> None:
        """Lay a whole layer over those below. A folder that it only implies stays what it was."""
        pending = [(self.root, layer)]
        while pending:
            below, above = pending.pop()
            assert below.children is not None
            assert above.children is not None
            if above.member is not _IMPLIED:
                below.member, below.layer = above.member, above.layer
            if above.opaque:
                below.children = {}
            for name in above.hidden:
                below.children.pop(name, None)
            for name, node in above.children.items():
                there = below.children.get(name)
                if there is not None and there.children is not None and node.children is not None:
                    pending.append((there, node))
                else:
                    below.children[name] = node

    def _new(self, member: Member, layer: int) -> Node:
        self._count()
        return Node(member, layer, self._nodes)

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise BadArchive(f"the layers hold more than {_MOST_NODES} names")

    def _linked(self, member: Member) -> Node | None:
        parts = [part for part in member.target.split(b"/") if part not in (b"", b".")]
        if not parts or b".." in parts:
            return None
        folder = self._folder(parts[:-1], create=False)
        return folder.children.get(parts[-1]) if folder is not None and folder.children else None

    def _folder(self, parts: list[bytes], *, create: bool, layer: int = 0) -> Node | None:
        """A folder of the layer; None where something on the way is not a folder, or is missing and not made."""
        pending, stack, links = parts[::-1], [self._own], 0
        while pending:
            part = pending.pop()
            children = stack[-1].children
            assert children is not None
            if part in (b"", b"."):
                continue
            if part == b"..":
                if len(stack) > 1:
                    stack.pop()
                continue
            node = children.get(part)
            if node is None:
                if not create:
                    return None
                node = children[part] = self._new(_IMPLIED, layer)
            if node.children is not None:
                stack.append(node)
            elif node.member.kind == "symlink":
                steps = node.member.target.split(b"/")
                links += 1
                self._link_parts += len(steps)
                if self._link_parts > _MOST_LINK_PARTS:
                    raise BadArchive("the layers lead through more links than any image's do")
                if links > LINKS_IN_A_ROW:
                    return None
                if node.member.target.startswith(b"/"):
                    stack = [self._own]
                pending += steps[::-1]
            else:
                return None
        return stack[-1]
