"""A model disk: what system calls wrote, what of it was synced, and every state that a power cut may leave.

Names and contents are kept apart, as POSIX has it: `fsync` of a file keeps its content and not its name,
`fsync` of a folder keeps the names in it and not what they name. Whatever was not synced is there or not, in
any combination, and a page of 4,096 bytes may be torn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any

PAGE = 4096
MANY = 40
"""Effects that were not synced from which on only a choice of the systematic states is tried."""


@dataclass(eq=False)
class Node:
    """A file, folder or link. What it holds is decided by the effects that reached the disk."""

    number: int
    kind: str
    mode: int
    target: str = ""
    content: bytearray = field(default_factory=bytearray)
    """As running programs see it."""


@dataclass(frozen=True, eq=False)
class Content:
    """A change of a file's content: bytes at a place, within one page; or a new size."""

    node: Node
    offset: int
    data: bytes | None


@dataclass(frozen=True, eq=False)
class Names:
    """A change of names that happens whole or not at all: (folder, name, node or None for none)."""

    changes: tuple[tuple[Node, str, Node | None], ...]


Effect = Content | Names
Tree = dict[str, tuple[str, int, bytes]]
"""Path below the root to kind, mode, and content or target."""


@dataclass(frozen=True, eq=False)
class Crash:
    """A state after a power cut.

    Args:
        disk: where it is one of.
        synced: how many effects had been synced.
        chosen: those of the others that are there.
        at: how many events there had been.
        lost: effects that are not there, for messages.
        key: equal states have the same.
    """

    disk: ModelDisk
    synced: int
    chosen: list[Effect]
    at: int
    lost: list[Effect]
    key: int

    @property
    def tree(self) -> Tree:
        """What is on the disk."""
        return self.disk.tree(self.chosen, self.synced)

    def __str__(self) -> str:
        lost = "; ".join(map(_words, self.lost[:12]))
        return (
            f"after event {self.at}, {len(self.chosen)} unsynced effects kept, {len(self.lost)} lost: {lost}"
        )

    def write(self, folder: Path) -> None:
        """Makes a real folder of it."""
        for path, (kind, mode, content) in sorted(self.tree.items()):
            place = folder / path
            if kind == "folder":
                place.mkdir(exist_ok=True)
            elif kind == "link":
                place.symlink_to(os.fsdecode(content))
            else:
                place.write_bytes(content)
                place.chmod(mode)


class ModelDisk:
    """A disk below one folder; paths are relative to it and normal. Everything in it at first is synced.

    Args:
        folder: whose content it starts with.
    """

    def __init__(self, folder: Path) -> None:
        self._count = 0
        self.root = self._node("folder", 0o700)
        self._live: dict[tuple[Node, str], Node] = {}
        self._synced: list[Effect] = []
        self._pending: list[Effect] = []
        self._when: dict[Effect, int] = {}
        self._keys: dict[Effect, int] = {}
        self._synced_key = 0
        self.events = 0
        self._copy(folder, "")

    def _copy(self, folder: Path, path: str) -> None:
        for entry in sorted(folder.iterdir()):
            below = f"{path}/{entry.name}".lstrip("/")
            mode = entry.lstat().st_mode & 0o7777
            if entry.is_symlink():
                self.link(below, str(entry.readlink()))
            elif entry.is_dir():
                self.make_folder(below, mode)
                self._copy(entry, below)
            elif entry.is_file():
                self.write(self.open(below, mode, create=True), 0, entry.read_bytes())
        self._keep(self._pending)

    def _node(self, kind: str, mode: int, target: str = "") -> Node:
        self._count += 1
        return Node(self._count, kind, mode, target)

    # -- what programs do ------------------------------------------------------------------------------

    def find(self, path: str) -> Node | None:
        """What a path names now."""
        node: Node | None = self.root
        for name in filter(None, path.split("/")):
            node = self._live.get((node, name)) if node else None
        return node

    def open(self, path: str, mode: int, *, create: bool = False, truncate: bool = False) -> Node:
        """The file of a path, made if it is missing."""
        node = self.find(path)
        if node is None:
            if not create:
                raise KeyError(path)
            node = self._node("file", mode)
            self._name(path, node)
        elif truncate and node.content:
            self.resize(node, 0)
        return node

    def write(self, node: Node, offset: int, data: bytes) -> None:
        """Writes bytes, page by page."""
        if len(node.content) < offset:
            node.content.extend(bytes(offset - len(node.content)))
        node.content[offset : offset + len(data)] = data
        while data:
            part = data[: PAGE - offset % PAGE]
            self._add(Content(node, offset, part))
            offset, data = offset + len(part), data[len(part) :]

    def resize(self, node: Node, size: int) -> None:
        """Cuts a file, or lengthens it with zeros."""
        del node.content[size:]
        node.content.extend(bytes(size - len(node.content)))
        self._add(Content(node, size, None))

    def make_folder(self, path: str, mode: int) -> None:
        """Makes a folder."""
        self._name(path, self._node("folder", mode))

    def link(self, path: str, target: str) -> None:
        """Makes a symbolic link."""
        self._name(path, self._node("link", 0o777, target))

    def hard_link(self, path: str, to: str) -> None:
        """Gives a file a second name."""
        self._name(to, self.find(path))

    def remove(self, path: str) -> None:
        """Removes a name."""
        self._name(path, None)

    def rename(self, path: str, to: str) -> None:
        """Gives something another name, at once."""
        node = self.find(path)
        assert node is not None, path
        self._change((*self._place(to), node), (*self._place(path), None))

    def sync(self, node: Node, since: int) -> None:
        """Keeps a file's content, or the names in a folder, as they were after so many events."""
        self.events += 1
        self._keep([one for one in self._pending if _concerns(one, node) and self._when[one] <= since])

    def sync_all(self, since: int) -> None:
        """Keeps everything as it was after so many events."""
        self.events += 1
        self._keep([one for one in self._pending if self._when[one] <= since])

    def _keep(self, effects: list[Effect]) -> None:
        self._synced += effects
        kept = set(map(id, effects))
        self._pending = [effect for effect in self._pending if id(effect) not in kept]
        for effect in effects:
            self._synced_key ^= self._keys[effect]

    def _name(self, path: str, node: Node | None) -> None:
        self._change((*self._place(path), node))

    def _place(self, path: str) -> tuple[Node, str]:
        folder, _, name = path.rpartition("/")
        found = self.find(folder)
        assert found is not None, path
        return found, name

    def _change(self, *changes: tuple[Node, str, Node | None]) -> None:
        for folder, name, node in changes:
            if node is None:
                self._live.pop((folder, name), None)
            else:
                self._live[folder, name] = node
        self._add(Names(changes))

    def _add(self, effect: Effect) -> None:
        self.events += 1
        self._pending.append(effect)
        self._when[effect] = self.events
        self._keys[effect] = Random(self.events).getrandbits(62)

    # -- what a power cut leaves -----------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """How many effects were not synced."""
        return len(self._pending)

    def kept(self) -> Tree:
        """What is there at least."""
        return self.tree([], len(self._synced))

    def newest(self) -> Tree:
        """What running programs see."""
        return self.tree(self._pending, len(self._synced))

    def compare(self, folder: Path) -> None:
        """Makes sure that a real folder holds what running programs saw here."""
        tree = self.newest()
        real = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
        assert set(real) == set(tree), sorted(set(real) ^ set(tree))[:5]
        for name, path in real.items():
            if path.is_file() and not path.is_symlink() and not name.endswith("-shm"):
                assert path.read_bytes() == tree[name][2], f"{name} is not what was recorded"

    def crashes(self, random: Random, most: int) -> Iterator[Crash]:
        """States that a power cut may leave now; all, where they are not more than `most`.

        Else: each prefix, each effect alone, all but each, names without contents and contents without names,
        and a random choice of the others; each prefix also with its last page torn or empty. Of more than
        MANY effects, the last ones are taken for each, and some others by chance.
        """
        pending = self._pending
        places = _places(len(pending), random)
        for chosen in _subsets(pending, places, random, most):
            yield self._crash(chosen)
        for at in places:
            last = pending[at]
            if isinstance(last, Content) and last.data:
                half = Content(last.node, last.offset, last.data[: len(last.data) // 2])
                empty = Content(last.node, last.offset, bytes(len(last.data)))
                for torn in (half, empty):
                    yield self._crash([*pending[:at], torn])

    def _crash(self, chosen: list[Effect]) -> Crash:
        ids = set(map(id, chosen))
        lost = [effect for effect in self._pending if id(effect) not in ids]
        key = self._synced_key
        for effect in chosen:
            key ^= self._key(effect)
        return Crash(self, len(self._synced), chosen, self.events, lost, key)

    def _key(self, effect: Effect) -> int:
        """A number of an effect; those of a set, combined, tell it from other sets."""
        found = self._keys.get(effect)
        if found is not None:
            return found
        assert isinstance(effect, Content)  # a torn page; the number is the same in every process
        torn = f"{effect.node.number} {effect.offset} {len(effect.data or b'')} {effect.data!r}"
        return int.from_bytes(blake2b(torn.encode(), digest_size=8).digest(), "big")

    def tree(self, chosen: list[Effect], synced: int) -> Tree:
        """What is there of some effects, and of as many as had been synced."""
        names: dict[tuple[Node, str], Node] = {}
        contents: dict[Node, bytearray] = {}
        effects = [*self._synced[:synced], *chosen]
        effects.sort(key=lambda effect: self._when.get(effect, self.events + 1))
        for effect in effects:
            if isinstance(effect, Names):
                for folder, name, node in effect.changes:
                    if node is None:
                        names.pop((folder, name), None)
                    else:
                        names[folder, name] = node
            else:
                _apply(contents.setdefault(effect.node, bytearray()), effect)
        below: dict[Node, list[tuple[str, Node]]] = {}
        for (folder, name), node in names.items():
            below.setdefault(folder, []).append((name, node))
        tree: Tree = {}
        _walk(self.root, "", below, contents, tree)
        return tree


def _concerns(effect: Effect, node: Node) -> bool:
    if isinstance(effect, Content):
        return effect.node is node
    return effect.changes[0][0] is node  # of a rename, the folder that it leads to


def _apply(content: bytearray, effect: Content) -> None:
    if effect.data is None:
        del content[effect.offset :]
        content.extend(bytes(effect.offset - len(content)))
        return
    content.extend(bytes(max(0, effect.offset - len(content))))
    content[effect.offset : effect.offset + len(effect.data)] = effect.data


def _walk(
    folder: Node, path: str, below: dict[Node, Any], contents: dict[Node, bytearray], tree: Tree
) -> None:
    for name, node in sorted(below.get(folder, ()), key=lambda entry: entry[0]):
        place = f"{path}/{name}".lstrip("/")
        if node.kind == "file":
            tree[place] = (node.kind, node.mode, bytes(contents.get(node, b"")))
        else:
            tree[place] = (node.kind, node.mode, node.target.encode())
        if node.kind == "folder":
            _walk(node, place, below, contents, tree)


def _words(effect: Effect) -> str:
    if isinstance(effect, Names):
        return ", ".join(f"{name} -> {node.number if node else None}" for _, name, node in effect.changes)
    return f"{effect.node.number} at {effect.offset}: {'size' if effect.data is None else effect.data[:40]!r}"


def _places(count: int, random: Random) -> list[int]:
    if count <= MANY:
        return list(range(count))
    return sorted({*range(count - 3, count), *random.sample(range(count), 3)})


def _subsets(pending: list[Effect], places: list[int], random: Random, most: int) -> Iterator[list[Effect]]:
    count = len(pending)
    if 2**count <= most:
        for bits in range(2**count):
            yield [effect for at, effect in enumerate(pending) if bits >> at & 1]
        return
    yield pending
    for at in places:
        yield pending[:at]
        yield [pending[at]]
        yield [*pending[:at], *pending[at + 1 :]]
    for kind in (Names, Content):
        yield [effect for effect in pending if isinstance(effect, kind)]
    for _ in range(most - 3 * len(places)):
        yield [effect for effect in pending if random.random() < 0.5]
