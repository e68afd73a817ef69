"""Names in SQL: each has its schema, and it is the department's own or the platform's.

SQL is read as a tree. The body of a function in PL/pgSQL, and of a DO block, is a text for PostgreSQL's parser and for
squawk's; in it the words after which only a table's name can stand are looked for, in its strings too, for those may
be executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fedschema import statements
from fedschema.review import trees
from fedschema.review.grounds import Breach, Ground, bodies, language
from fedschema.review.rules import FOREIGN_ROLE, FOREIGN_SCHEMA, RAW_TABLE, UNQUALIFIED_NAME
from fedschema.review.trees import Node, Statement

#: Where a name may have a schema before it; an index that is made and a new name have none.
_OBJECTS = frozenset(
    [
        "RELATION_NAME_REF",
        "RELATION_NAME",
        "TABLE_NAME",
        "TABLE_NAME_REF",
        "FUNCTION_NAME",
        "FUNCTION_NAME_REF",
        "PROCEDURE_NAME",
        "PROCEDURE_NAME_REF",
        "ROUTINE_NAME_REF",
        "AGGREGATE_NAME",
        "AGGREGATE_NAME_REF",
        "SEQUENCE",
        "SEQUENCE_REF",
        "VIEW",
        "VIEW_REF",
        "TYPE_NAME",
        "TYPE_NAME_REF",
        "DOMAIN",
        "DOMAIN_REF",
        "STATISTICS",
        "STATISTICS_REF",
        "INDEX_REF",
    ]
)
_NEW_NAMES = frozenset({"TABLE_RENAME_TO", "INDEX_RENAME_TO"})
_MAKING_TABLES = frozenset({"CREATE_TABLE", "CREATE_TABLE_AS", "CREATE_FOREIGN_TABLE", "INTO_CLAUSE"})
_COLUMN = "QUALIFIED_COLUMN_NAME_REF"
_COLUMN_PARTS = 3
_BY_TEXT = frozenset({"nextval", "currval", "setval", "to_regclass", "to_regproc", "pg_get_serial_sequence"})
_TEXT_TYPES = frozenset({"regclass", "regproc", "regprocedure"})

_NAME = r"(?:\"[^\"]+\"|[a-z_][\w$]*)"
_SCHEMAS = re.compile(
    r"\b(?:(?P<before>[a-z_]\w*_tenant|public)\"?\s*\.|SCHEMA\s+\"?(?P<after>[a-z_]\w*_tenant)\b)"
    r"|'\"?(?P<alone>[a-z_]\w*_tenant)\"?'",
    re.IGNORECASE,
)
_ROLES = re.compile(
    r"\b(?:GRANT\b[^;]*?\bTO|OWNER\s+TO|CREATE\s+POLICY\b[^;]*?\bTO)\s+\"?(?P<role>[a-z_]\w*)", re.IGNORECASE
)
_IN_BODIES = re.compile(
    rf"""\b(?:
        (?P<makes>CREATE\s+(?:(?:GLOBAL|LOCAL)\s+)?(?:UNLOGGED\s+|FOREIGN\s+)?TABLE)(?:\s+IF\s+NOT\s+EXISTS)?
      | (?:ALTER|DROP)\s+TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)? | INSERT\s+INTO | MERGE\s+INTO | DELETE\s+FROM(?:\s+ONLY)?
      | TRUNCATE\s+TABLE(?:\s+ONLY)?
      | UPDATE(?:\s+ONLY)?(?=\s+{_NAME}(?:\s*\.\s*{_NAME})?(?:\s+(?:AS\s+)?{_NAME})?\s+SET\b)
      | (?P<reads>FROM|JOIN)(?:\s+ONLY|\s+LATERAL)?
    )\s+(?P<name>{_NAME}(?:\s*\.\s*{_NAME})?)""",
    re.VERBOSE | re.IGNORECASE,
)
#: After a schema in the text of a dynamic statement: format('… FROM federation.%I').
_PLACEHOLDER = re.compile(r"\s*\.\s*%")


def breaches(statement: Statement, ground: Ground) -> Iterator[Breach]:
    """Yield what is wrong with the names of a statement, each once."""
    found = [*_of_tree(statement.node, ground), *_written_out(statement.node.text, ground)]
    for body in bodies(statement.node):
        if language(statement.node) == "sql":
            found += [one for inner in trees.statements_of(body) for one in _of_tree(inner.node, ground)]
        else:
            found += _of_body(body, ground)
    yield from dict.fromkeys(found)


def _of_tree(node: Node, ground: Ground) -> Iterator[Breach]:
    local = {trees.identifier(one.text) for one in node.all_of("CTE_NAME")}
    for name in node.walk():
        if name.is_name and name.parent and name.segments:
            yield from _of_name(name, name.parent, local, ground)
        elif name.kind == "CALL_EXPR" and name.children:
            yield from _of_call(name, ground)
        elif name.kind == "CAST_EXPR":
            yield from _of_cast(name)


def _of_name(name: Node, parent: Node, local: set[str], ground: Ground) -> Iterator[Breach]:
    segments = name.segments
    place = parent.parent.kind if parent.parent else ""
    if name.kind == "PATH_TYPE" or parent.kind in {"PATH_TYPE", "COLUMN", "PARAM"}:
        yield from _judged(segments, ground, bare=segments[-1] in ground.types)
    elif parent.kind == _COLUMN:
        yield from _judged(segments[:-1], ground, bare=len(segments) < _COLUMN_PARTS)
    elif parent.kind in _OBJECTS and place not in _NEW_NAMES:
        known = segments[-1] in local or segments[-1].startswith("pg_")
        yield from _judged(segments, ground, bare=not known)
        if place in _MAKING_TABLES and not _is_temporary(parent.parent) and len(segments) > 1:
            yield from _of_table(segments[-1], ground)


def _is_temporary(node: Node | None) -> bool:
    return node is not None and any(child.kind in {"PERSISTENCE", "TEMP_KW", "TEMPORARY_KW"} for child in node.walk())


def _of_table(table: str, ground: Ground) -> Iterator[Breach]:
    if ground.is_department and table not in ground.walled:
        yield RAW_TABLE, f"table {table} is made without its walls"


def _of_call(call: Node, ground: Ground) -> Iterator[Breach]:
    called = call.children[0]
    if called.kind == "FIELD_EXPR":
        parts = tuple(trees.identifier(one.text) for one in called.children if one.kind == "NAME_REF")
        if len(parts) > 1:
            yield from _judged(parts, ground, bare=False)
    elif called.kind == "NAME_REF":
        name = trees.identifier(called.text)
        if name in ground.routines:
            yield UNQUALIFIED_NAME, f"function {name} has no schema before it"
        if name in _BY_TEXT:
            literal = next(call.all_of("STRING"), None)
            yield from _of_text(literal.text if literal else "")


def _of_cast(cast: Node) -> Iterator[Breach]:
    to = next((node for node in cast.children if node.is_name), None)
    if to and to.segments[-1:] and to.segments[-1] in _TEXT_TYPES and cast.children[0].kind == "LITERAL":
        yield from _of_text(cast.children[0].text)


def _of_text(literal: str) -> Iterator[Breach]:
    """Judge a text that is read as an object's name."""
    name = literal.strip("'")
    if re.fullmatch(_NAME, name) and not name.startswith("pg_"):
        yield UNQUALIFIED_NAME, f"{name} has no schema before it"


def _judged(segments: tuple[str, ...], ground: Ground, *, bare: bool) -> Iterator[Breach]:
    if len(segments) == 1:
        if bare:
            yield UNQUALIFIED_NAME, f"{segments[0]} has no schema before it"
    elif not ground.may_name_schema(segments[-2]):
        yield FOREIGN_SCHEMA, _foreign(segments[-2])


def _foreign(schema: str) -> str:
    kind = "a department's schema written out" if schema.endswith("_tenant") else "none that a revision may name"
    return f"schema {schema} is {kind}"


def _written_out(text: str, ground: Ground) -> Iterator[Breach]:
    """Look for schemas of departments by their ending, wherever they stand: in strings and bodies too."""
    text = statements.without_comments(text)
    for found in _SCHEMAS.finditer(text):
        schema = (found["before"] or found["after"] or found["alone"]).lower()
        if not ground.may_name_schema(schema):
            yield FOREIGN_SCHEMA, _foreign(schema)


def _of_body(body: str, ground: Ground) -> Iterator[Breach]:
    text = statements.without_comments(body)
    for found in _ROLES.finditer(text):
        if ground.is_department and not ground.may_name_role(found["role"].lower()):
            yield FOREIGN_ROLE, f"role {found['role'].lower()} is not the department's, nor the platform's"
    local = {
        found[1].lower()
        for found in re.finditer(rf"({_NAME})\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(", text, re.IGNORECASE)
    }
    for found in _IN_BODIES.finditer(text):
        *before, name = (trees.identifier(part.strip()) for part in found["name"].split("."))
        if not before and _PLACEHOLDER.match(text, found.end()):
            before = [name]
        if before:
            if found["reads"] is None and not ground.may_name_schema(before[-1]):
                yield FOREIGN_SCHEMA, _foreign(before[-1])
        elif name in ground.relations - local if found["reads"] else name not in local:
            yield UNQUALIFIED_NAME, f"{name} has no schema before it, in a body that is a text"
        if found["makes"]:
            yield from _of_table(name, ground)
