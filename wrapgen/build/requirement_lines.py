"""An inline author's requirements, as pip reads them, with every path leading into the wrapper's copy.

Files named by `-r` are taken in where they are named; constraints stay where they are, because pip reads them
relative to their own file. A path that would lead elsewhere in the wrapper is an error.
"""

from __future__ import annotations

import codecs
import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from wrapgen.files import INLINE_FOLDER
from wrapgen.spec import Spec
from wrapgen.spec.load import source_error

FILE = "requirements.txt"
"""What the platform installs from, in the algorithm's folder."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""As pip decides (pip/_internal/utils/encoding.py)."""

_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_PROJECT_ROOT = "${PROJECT_ROOT}/"
_FILE_OPTIONS = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_LINKS = ("-f", "--find-links")
_PATH_OPTIONS = {"-e", "--editable", *_LINKS}
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".tar")
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[^\]]*\])?\s*@\s*)(\S+)(.*)", re.S)
_PATH = re.compile(r"([^\s;\[#]+)(.*)", re.S)


@dataclass(frozen=True)
class RequirementLine:
    """One requirement or option.

    Args:
        text: as the wrapper's own file may have it.
        place: file and line that it comes from, for messages.
        constraint: it is in a constraints file, which stays where it is.
    """

    text: str
    place: str
    constraint: bool = False

    @property
    def project(self) -> str:
        """The project that it requires, as indexes compare names; empty for options and paths."""
        match = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:$|[\[<>=!~;@( ])", self.text)
        return canonical(match[1]) if match else ""


def canonical(name: str) -> str:
    """A project's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def author_lines(spec: Spec) -> list[RequirementLine]:
    """What an inline target's `requirements.txt` asks for, and what its constraints say.

    Raises:
        SpecError: a file that it names is missing, outside of the folder, or can't be read.
    """
    if FILE not in spec.source_files:
        return []
    return list(_Reader(spec).lines(FILE, FILE))


class _Reader:
    """Reads the files of one folder, each once."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._seen: set[tuple[str, bool]] = set()

    def lines(self, path: str, place: str, *, constraint: bool = False) -> Iterator[RequirementLine]:
        if (path, constraint) in self._seen:
            return
        self._seen.add((path, constraint))
        for number, text in _logical(self._decoded(path, place)):
            here = f"{path}:{number}"
            if text.startswith("-"):
                yield from self._options(text, path, here, constraint=constraint)
            else:
                found = text if constraint else self._requirement(text, here)
                yield RequirementLine(found, here, constraint)

    def _decoded(self, path: str, place: str) -> str:
        content = self._spec.source_files.get(path)
        if content is None:
            raise self._fault(place, f"there is no file {path}", "add it to the folder")
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
        said = next(filter(None, map(_CODING.search, content.splitlines()[:2])), None)
        try:
            text = content.decode(said[1].decode() if said and encoding == "utf-8" else encoding)
        except (UnicodeError, LookupError) as error:
            raise self._fault(path, f"it can't be decoded: {error}", "save it as UTF-8") from None
        if "\0" in text:
            raise self._fault(path, "it is in an encoding that pip can't tell", "save it as UTF-8")
        return text

    def _options(self, text: str, path: str, place: str, *, constraint: bool) -> Iterator[RequirementLine]:
        """The lines that a line of options becomes: each file that it names, then what is left of it."""
        try:
            words = _words(text)
        except ValueError as error:
            raise self._fault(place, f"{text} can't be read: {error}", "check its quotes") from None
        left: list[str] = []
        while words:
            word = words.pop(0)
            value = words.pop(0) if words and word in _FILE_OPTIONS.keys() | _PATH_OPTIONS else None
            if value is None or "://" in value:
                left += [word] if value is None else [word, value]
            elif word in _FILE_OPTIONS:
                beside = posixpath.dirname(path)
                named = self._inside(posixpath.join(beside, value), value, place)
                stays = constraint or _FILE_OPTIONS[word] == "-c"
                if stays and not constraint:
                    yield RequirementLine(f"-c {INLINE_FOLDER}/{named}", place)
                yield from self.lines(named, place, constraint=stays)
            else:
                left += [word, self._moved(value, place, beside=path if word in _LINKS else "")]
        if left and not constraint:
            yield RequirementLine(" ".join(map(_quoted, left)), place)

    def _requirement(self, text: str, place: str) -> str:
        """A requirement whose path, if it has one, leads into the copy."""
        named = _NAMED.fullmatch(text)
        start, path, rest = named.groups() if named else ("", *_parted(text))
        scheme = "file:" if path.startswith("file:") else ""
        bare = path.removeprefix(scheme)
        if "://" in path.removeprefix(_PROJECT_ROOT) and not scheme:
            return text
        if not (named or scheme) and "/" not in path and not path.endswith(_ARCHIVES) and path[:1] != ".":
            return text
        return f"{start}{scheme}{self._moved(bare, place)}{rest}"

    def _moved(self, value: str, place: str, beside: str = "") -> str:
        """A path relative to the author's folder, from the wrapper's."""
        path, extras = _parted(value)
        root = _PROJECT_ROOT if path.startswith(_PROJECT_ROOT) else "./"
        bare = path.removeprefix(_PROJECT_ROOT)
        # pip looks for links beside the file that names them first
        own = posixpath.normpath(posixpath.join(posixpath.dirname(beside), bare))
        named = own if beside and self._holds(own) else self._inside(bare, value, place)
        if not self._holds(named):
            raise self._fault(place, f"there is no {path} in the folder", "add it, or remove the line")
        return f"{root}{posixpath.normpath(f'{INLINE_FOLDER}/{named}')}{extras}"

    def _holds(self, path: str) -> bool:
        files = self._spec.source_files
        return path in (".", *files) or any(file.startswith(f"{path}/") for file in files)

    def _inside(self, path: str, shown: str, place: str) -> str:
        inside = posixpath.normpath(path)
        if inside.startswith(("/", "../", "~", "$")) or inside == ".." or re.match(r"[A-Za-z]:[\\/]", inside):
            said = f"{shown} is not in {self._spec.target.source}, and the wrapper holds only that folder"
            raise self._fault(place, said, "put a copy into the folder, and name it relative to there")
        return inside

    def _fault(self, place: str, said: str, hint: str) -> Exception:
        return source_error(self._spec, f"{place}: {said}", hint)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that end in a backslash joined, each with its number."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if joined else number
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            joined += line[:-1] + " "
            continue
        bare = _COMMENT.sub("", joined + ("" if comment else line)).strip()
        joined = ""
        if bare:
            yield first, bare
    if joined.strip():
        yield first, joined.strip()


def _words(text: str) -> list[str]:
    """A line of options as words, each value apart from its option."""
    found: list[str] = []
    for word in shlex.split(text, posix=True):
        long = re.fullmatch(r"(--(?:requirement|constraint|editable|find-links))=(.*)", word)
        short = re.fullmatch(r"(-[rcef])([^-].*)", word)
        match = long or short
        found += match.groups() if match else [word]
    return found


def _parted(text: str) -> tuple[str, str]:
    """A path, and what follows it: extras, a marker, options."""
    match = _PATH.fullmatch(text)
    return (match[1], match[2]) if match else (text, "")


def _quoted(word: str) -> str:
    return f'"{word}"' if re.search(r"\s", word) else word
