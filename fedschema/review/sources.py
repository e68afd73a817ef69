"""A revision as it is written: its functions, the operations that it calls by whatever name, its suppressions."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: A comment that allows a breach: the rules between brackets, then the reason.
SUPPRESSION = re.compile(r"fedschema:\s*ignore\b(?:\[(?P<rules>[^\]\n]*)\])?(?P<reason>[^\n]*)")

#: Alembic's own operations that deal with objects of a database.
RAW_OPERATIONS = frozenset(
    [
        "add_column",
        "alter_column",
        "batch_alter_table",
        "bulk_insert",
        "create_check_constraint",
        "create_exclude_constraint",
        "create_foreign_key",
        "create_index",
        "create_primary_key",
        "create_table",
        "create_table_comment",
        "create_unique_constraint",
        "drop_column",
        "drop_constraint",
        "drop_index",
        "drop_table",
        "drop_table_comment",
        "rename_table",
    ]
)


@dataclass(slots=True)
class Suppression:
    """A comment that allows something.

    Attributes:
        line: where it stands, from 1.
        about: the line that begins the statement that it is about.
        rules: the rules that it names.
        reason: what it says.
        used: the rules that it has kept quiet.
    """

    line: int
    about: int
    rules: tuple[str, ...]
    reason: str
    used: set[str]


class Source:
    """A revision's file.

    Args:
        file: where it is.
    """

    def __init__(self, file: Path) -> None:
        with tokenize.open(file) as opened:
            self.text = opened.read()
        self.tree = ast.parse(self.text)
        self._begins = _beginnings(self.tree)

    def function(self, name: str) -> ast.FunctionDef | None:
        """Return one of its functions."""
        found = [node for node in self.tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        return found[-1] if found else None

    def beginning_of(self, line: int) -> int:
        """Return the line on which the statement begins that a line belongs to."""
        return self._begins.get(line, line)

    def suppressions(self) -> list[Suppression]:
        """Return the comments that allow something: what stands on their line, or else on the next line of code."""
        return list(_suppressions(self))

    @property
    def digest(self) -> str:
        """A fingerprint of what it does: comments, docstrings and layout are no part of it."""
        tree = ast.parse(self.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                node.body = [one for one in node.body if not _is_text(one) and not isinstance(one, ast.Pass)]
        text = _canonical(tree)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def is_empty(self, name: str) -> bool:
        """Tell whether a function has nothing in it but texts and pass."""
        function = self.function(name)
        return function is not None and all(_is_text(node) or isinstance(node, ast.Pass) for node in function.body)

    def raises_with_reason(self, name: str) -> bool:
        """Tell whether all that a function does is to raise and say why."""
        function = self.function(name)
        if function is None:
            return False
        body = [node for node in function.body if not _is_text(node)]
        match body:
            case [ast.Raise(exc=ast.Call(args=[_, *_]))]:
                return True
        return False

    def raw_operations(self) -> Iterator[tuple[int, str]]:
        """Yield the line and the name of each of Alembic's own operations that is named, whatever it is called here."""
        modules, names = _aliases(self.tree)
        for node in ast.walk(self.tree):
            match node:
                case ast.Attribute(value=ast.Name(id=module), attr=name) if module in modules:
                    if name in RAW_OPERATIONS:
                        yield node.lineno, name
                case ast.Attribute(value=ast.Attribute(value=ast.Name(id="alembic"), attr="op"), attr=name):
                    if name in RAW_OPERATIONS:
                        yield node.lineno, name
                case ast.Call(
                    func=ast.Name(id="getattr"), args=[ast.Name(id=module), ast.Constant(value=str(name)), *_]
                ):
                    if module in modules and name in RAW_OPERATIONS:
                        yield node.lineno, name
                case ast.Call(func=ast.Name(id=called)) if called in names:
                    yield node.lineno, names[called]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _canonical(node: ast.AST) -> str:
    """Write a tree without what a newer Python adds: every field by its name, those that are empty left out."""
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__}:{node.value!r}"
    parts = []
    for name, value in ast.iter_fields(node):
        values = value if isinstance(value, list) else [value]
        written = [_canonical(one) if isinstance(one, ast.AST) else repr(one) for one in values if one is not None]
        if written:
            parts.append(f"{name}=[{', '.join(written)}]")
    return f"{type(node).__name__}({', '.join(parts)})"


def _aliases(tree: ast.Module) -> tuple[set[str], dict[str, str]]:
    """Return the names under which `alembic.op` is known in a file, and those of its operations."""
    modules: set[str] = set()
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="alembic", names=imported):
                modules |= {one.asname or one.name for one in imported if one.name == "op"}
            case ast.ImportFrom(module="alembic.op", names=imported):
                names |= {one.asname or one.name: one.name for one in imported if one.name in RAW_OPERATIONS}
            case ast.Import(names=imported):
                modules |= {one.asname for one in imported if one.name == "alembic.op" and one.asname}
    return modules, names


def _beginnings(tree: ast.Module) -> dict[int, int]:
    """Return for each line the one on which its statement begins; of a compound statement only the head counts."""
    found: dict[int, int] = {}
    for node in ast.walk(tree):  # outer ones before inner ones
        if isinstance(node, ast.stmt):
            inner = getattr(node, "body", None)
            last = inner[0].lineno - 1 if isinstance(inner, list) and inner else node.end_lineno or node.lineno
            found |= dict.fromkeys(range(node.lineno, max(last, node.lineno) + 1), node.lineno)
    return found


def _suppressions(source: Source) -> Iterator[Suppression]:
    tokens = list(tokenize.generate_tokens(io.StringIO(source.text).readline))
    nothing = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE)
    code = sorted({token.start[0] for token in tokens if token.type not in nothing})
    for token in tokens:
        found = SUPPRESSION.search(token.string) if token.type == tokenize.COMMENT else None
        if found:
            line = token.start[0]
            about = line if line in code else next((one for one in code if one > line), line)
            yield Suppression(line, source.beginning_of(about), rules_in(found), reason_in(found), set())


def rules_in(found: re.Match[str]) -> tuple[str, ...]:
    """Return the rules that a suppression names."""
    return tuple(name.strip() for name in (found["rules"] or "").split(",") if name.strip())


def reason_in(found: re.Match[str]) -> str:
    """Return the reason that a suppression gives."""
    return found["reason"].removesuffix("*/").strip(" \t:-\u2013")
