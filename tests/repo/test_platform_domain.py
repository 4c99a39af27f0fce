"""The platform's domain knows no HTTP: one module gives its errors their statuses and numbers."""

import ast
import re
from pathlib import Path

from wrapgen import errors
from wrapgen.platform.api.errors import REASONS

PLATFORM = Path(errors.__file__).parent / "platform"
HTTP = {"http", "starlette", "uvicorn", "uvloop", "httptools"}
"""Packages that speak HTTP."""

VARIED = {"user-exists", "organization-exists", "no-such-user", "no-such-organization"}
"""Reasons that are put together of the kind of an account."""


def modules():
    """Each module of the platform, with its folder's name and its syntax tree."""
    for path in sorted(PLATFORM.rglob("*.py")):
        yield path, path.relative_to(PLATFORM).parts[0], ast.parse(path.read_bytes())


def test_only_the_api_and_the_pages_import_http():
    """No module outside api/ and web/ imports anything that speaks HTTP, inside its functions or not."""
    found = []
    for path, folder, tree in modules():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if folder not in ("api", "web") and any(name.partition(".")[0] in HTTP for name in names):
                found.append(f"{path}:{node.lineno}")
    assert not found


def raised(tree):
    """Each call in a module that makes an error of ours."""
    for node in ast.walk(tree):
        kind = getattr(errors, ast.unparse(node.func), None) if isinstance(node, ast.Call) else None
        if isinstance(kind, type) and issubclass(kind, errors.WrapgenError):
            yield node


def test_errors_carry_reasons_and_no_statuses():
    """Errors are raised without statuses and numbers; each reason stands in the one table, and is used."""
    given, used, texts = [], set(), set()
    for path, _, tree in modules():
        if path.parts[-2:] == ("api", "errors.py"):
            continue
        texts |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        for word in (word for node in raised(tree) for word in node.keywords):
            if word.arg in ("status", "api_code", "error_type"):
                given.append(f"{path}:{word.lineno}")
            elif word.arg == "reason" and isinstance(word.value, ast.Constant):
                used.add(word.value.value)
    assert not given
    assert used <= set(REASONS) <= {text for text in texts if isinstance(text, str)} | VARIED


def test_only_storage_knows_sql():
    """No module outside storage/ imports SQLite, or holds a statement for it; no row leaves it."""
    statement = re.compile(r"\s*(SELECT\s.+\sFROM|INSERT\s.*INTO|UPDATE\s\S+\sSET|DELETE\sFROM)\s", re.S)
    found = []
    for path, folder, tree in modules():
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            sql = isinstance(text, str) and statement.match(text)
            imports = isinstance(node, ast.Import | ast.ImportFrom)
            names = [alias.name for alias in node.names] if imports else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if folder != "storage" and (sql or {"sqlite3", "Row"} & set(names)):
                found.append(f"{path}:{node.lineno}")
    assert not found
