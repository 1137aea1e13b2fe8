"""Tests touch public names alone: ruff (SLF001) sees to attributes, this to imports and to names in text."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PRIVATE = re.compile(r"(^|\.)_[^_.]")


def names(node: ast.AST) -> Iterator[str]:
    """Return the names that an import or a call such as ``monkeypatch.setattr`` mentions."""
    match node:
        case ast.Import(names=imported):
            yield from (each.name for each in imported)
        case ast.ImportFrom(module=module, names=imported):
            yield from (f"{module}.{each.name}" for each in imported)
        case ast.Call(func=ast.Attribute(attr="setattr" | "delattr") | ast.Name(id="getattr" | "setattr")):
            yield from (str(each.value) for each in node.args if isinstance(each, ast.Constant))


def test_no_test_names_what_is_private_to_a_module() -> None:
    touched = [
        f"{file.relative_to(TESTS)}: {name}"
        for file in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        for name in names(node)
        if PRIVATE.search(name)
    ]
    assert touched == []
