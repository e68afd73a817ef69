"""SQL as a tree of its parts, by squawk's parser, which is PostgreSQL's grammar in a program that is installed anyway.

What the parser calls its parts is no promise of squawk's. So before anything is believed, a small script is read of
which is known what is in it (`require_understanding`): a squawk that writes its trees otherwise is told, not obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from fedschema import linting
from fedschema.linting import NotLinted

_LINE = re.compile(r"^( *)([A-Z_0-9]+)@(\d+)\.\.(\d+)")
_NAMES = frozenset({"PATH", "PATH_REF", "PATH_TYPE"})
_SEGMENTS = frozenset({"PATH_SEGMENT", "PATH_SEGMENT_REF"})
_BETWEEN = frozenset({"COMMENT", "WHITESPACE", "SEMICOLON"})


@dataclass(slots=True)
class Node:
    """One part of a script.

    Attributes:
        kind: what squawk calls it, such as ``CREATE_TABLE``.
        text: how it is written.
        start: where it begins, in bytes.
        parent: what it is a part of; None for the script.
        children: its own parts.
    """

    kind: str
    text: str
    start: int
    parent: Node | None = field(default=None, repr=False)
    children: list[Node] = field(default_factory=list, repr=False)

    def walk(self) -> Iterator[Node]:
        """Yield it and all that it consists of."""
        yield self
        for child in self.children:
            yield from child.walk()

    def all_of(self, *kinds: str) -> Iterator[Node]:
        """Yield the parts of some kinds."""
        return (node for node in self.walk() if node.kind in kinds)

    @property
    def is_name(self) -> bool:
        """It is a name with all that stands before it."""
        return self.kind in _NAMES and (self.parent is None or self.parent.kind not in _NAMES)

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of a name, as PostgreSQL understands them."""
        return tuple(identifier(node.text) for node in self.all_of(*_SEGMENTS))


def identifier(text: str) -> str:
    """Return a name as PostgreSQL understands it: in small letters unless it is quoted."""
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    return text.lower()


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a script.

    Attributes:
        node: what it consists of.
        text: how it is written, with the comments before it.
        offset: where it begins in the script, in characters.
    """

    node: Node
    text: str
    offset: int


def statements_of(sql: str) -> list[Statement]:
    """Return the statements of a script.

    Raises:
        NotLinted: squawk cannot be run.
    """
    content = sql.encode()
    found, end = [], 0
    for node in _tree(content, linting.syntax_tree(sql)).children:
        if node.kind not in _BETWEEN:
            begin, end = end, node.start + len(node.text.encode())
            text = content[begin:end].decode(errors="replace").strip()
            found.append(Statement(node, text, len(content[: node.start].decode(errors="replace"))))
    return found


def _tree(content: bytes, written: str) -> Node:
    """Read a tree as squawk writes it."""
    stack: list[Node] = []
    for line in written.split("\n"):
        found = _LINE.match(line)
        if found is None:
            continue  # the rest of a text of several lines
        start, end = int(found[3]), int(found[4])
        del stack[len(found[1]) // 2 :]
        node = Node(found[2], content[start:end].decode(errors="replace"), start, stack[-1] if stack else None)
        if node.parent:
            node.parent.children.append(node)
        stack.append(node)
    return stack[0]


_KNOWN = """\
CREATE TABLE a.b (c d.e REFERENCES f (g), h int DEFAULT i.j(1));
WITH k AS (SELECT 1) INSERT INTO l SELECT m(1) FROM n.o;
GRANT SELECT ON p TO q;
SET LOCAL ROLE r;
DO $$ s $$;
"""
_IN_IT = [
    ("CREATE_TABLE", ("TABLE_NAME", ("a", "b")), ("COLUMN", ("d", "e")), ("TABLE_NAME_REF", ("f",)),
     ("COLUMN", ("int",))),
    ("INSERT", ("RELATION_NAME_REF", ("l",)), ("RELATION_NAME_REF", ("n", "o"))),
    ("GRANT", ("RELATION_NAME_REF", ("p",))),
    ("SET_ROLE",),
    ("DO",),
]  # fmt: skip
_OTHERS_IN_IT = [
    ("CALL_EXPR", "i.j(1)"),
    ("CTE_NAME", "k"),
    ("CALL_EXPR", "m(1)"),
    ("ROLE_REF", "q"),
    ("LOCAL_SCOPE", "LOCAL"),
    ("ROLE_REF", "r"),
    ("DOLLAR_QUOTED_STRING", "$$ s $$"),
]


@cache
def require_understanding() -> None:
    """Check that squawk's trees are those that the rules were written for.

    Raises:
        NotLinted: they are not, or it cannot be run.
    """
    statements = [one.node for one in statements_of(_KNOWN)]
    found = [
        (one.kind, *((name.parent.kind, name.segments) for name in one.walk() if name.is_name and name.parent))
        for one in statements
    ]
    kinds = {kind for kind, _ in _OTHERS_IN_IT}
    others = [(node.kind, node.text) for one in statements for node in one.walk() if node.kind in kinds]
    if found != _IN_IT or others != _OTHERS_IN_IT:
        raise NotLinted("this squawk reads SQL in another way than fedschema knows: pip install 'squawk-cli==2.70.*'")
