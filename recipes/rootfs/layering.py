"""Layers, one on top of the other → the tree that an engine would unpack.

One rule places every member: its folder is resolved inside the root as the tree stands (links followed, absolute ones
from the root, `..` never above it, missing folders made), its last name is never followed. That is what containerd and
Docker do. A whiteout takes away what lower layers placed and never what its own layer did, whatever comes first. What
cannot be placed is left out and recorded, never guessed.
Source: OCI image-spec, "Image Layer Filesystem Changeset".
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


class Node:
    """A name while the layers are put together. `children` is None for what is not a folder.

    `layer` holds the content and `placed` is the layer of the name: a hard link may name a file of a lower layer.
    """

    __slots__ = ("children", "cut", "inode", "layer", "member", "placed")

    def __init__(self, member: Member, layer: int, inode: int) -> None:
        self.member = member
        self.layer = self.placed = layer
        self.inode = inode
        self.cut = -1
        self.children: dict[bytes, Node] | None = {} if member.kind == "dir" else None


_IMPLIED = Member(name=b"", kind="dir", mode=0o755, uid=0, gid=0, size=0, mtime=0, target=b"", offset=0)


class Merger:
    """Call `add` for each layer, from the lowest, then walk."""

    def __init__(self) -> None:
        self.root = Node(_IMPLIED, 0, 0)
        self.skipped: list[Skipped] = []
        self._nodes = 0
        self._link_parts = 0

    def add(self, members: Iterable[Member], layer: int) -> None:
        """Raises: BadArchive."""
        for member in members:
            parts = self._parts(member)
            if parts is None:
                continue
            if parts and parts[-1].startswith(b".wh."):
                self._white_out(parts[:-1], parts[-1][4:], member, layer)
            else:
                self._place(parts, member, layer)

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
        folder = self._folder(parent, create=False)
        if name == b".wh..opq":
            if folder is not None:
                self._cut(folder, layer)
        elif name in (b"", b".", b"..") or name.startswith(b".wh."):
            self._skip(member, "it is not a whiteout, and names with .wh. are reserved for them")
        elif folder is not None and folder.children and (node := folder.children.get(name)) is not None:
            self._cut(node, layer)
            if node.placed < layer and not node.children:
                del folder.children[name]

    def _cut(self, top: Node, layer: int) -> None:
        """Take away what lower layers placed beneath `top`. Once per layer is enough: nothing lower comes back."""
        folders = [top] if top.children is not None and top.cut != layer else []
        for folder in folders:
            folder.cut = layer
            assert folder.children is not None
            folders += [child for child in folder.children.values() if child.children and child.cut != layer]
        for folder in reversed(folders):
            assert folder.children is not None
            kept = {name: child for name, child in folder.children.items() if child.placed == layer or child.children}
            folder.children = kept

    def _place(self, parts: list[bytes], member: Member, layer: int) -> None:
        if not parts:
            node = Node(member, layer, 0)
            node.children, node.cut = self.root.children, self.root.cut
            self.root = node
            return
        folder = self._folder(parts[:-1], create=True, layer=layer)
        if folder is None or folder.children is None:
            self._skip(member, "something on the way to it is not a folder")
            return
        there = folder.children.get(parts[-1])
        if member.kind == "hardlink":
            target = self._linked(member)
            if target is None or target.children is not None:
                self._skip(member, "it is a hard link to a file that does not exist")
                return
            node = self._new(target.member, target.layer)
            node.placed, node.inode = layer, target.inode
            folder.children[parts[-1]] = node
            return
        node = self._new(member, layer)
        if node.children is not None and there is not None and there.children is not None:
            node.children, node.cut = there.children, there.cut
        folder.children[parts[-1]] = node

    def _new(self, member: Member, layer: int) -> Node:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise BadArchive(f"the layers hold more than {_MOST_NODES} names")
        return Node(member, layer, self._nodes)

    def _linked(self, member: Member) -> Node | None:
        parts = [part for part in member.target.split(b"/") if part not in (b"", b".")]
        if not parts or b".." in parts:
            return None
        folder = self._folder(parts[:-1], create=False)
        return folder.children.get(parts[-1]) if folder is not None and folder.children else None

    def _folder(self, parts: list[bytes], *, create: bool, layer: int = 0) -> Node | None:
        """The folder, inside the root; None where something on the way is not a folder, or is missing and not made."""
        pending, stack, links = parts[::-1], [self.root], 0
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
                    stack = [self.root]
                pending += steps[::-1]
            else:
                return None
        return stack[-1]
