"""Values of a type, as texts that the server reads, the plainest first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from fedschema.samples import expressions
from fedschema.samples.structure import Column

_SIZE = re.compile(r"\((\d+)(?:,(-?\d+))?\)")
#: What a text column without a limit is filled with at most: more than people give a limit for, and no index minds.
_LONG = 2000
_MONTH, _DAY = 12, 28


def _dates(n: int) -> list[str]:
    return [f"20{10 + n % 40:02}-{n % _MONTH + 1:02}-{n % _DAY + 1:02}", "2001-01-01", "1970-01-01", "2099-12-31"]


def _times(n: int) -> list[str]:
    return [f"{n % 24:02}:{n % 60:02}:00", "00:00:00", "12:30:15.5"]


def _ranges(low: str, high: str) -> list[str]:
    return [f"[{low},{high})", "empty", f"[{low},)"]


def _whole(n: int) -> list[str]:
    return [str(n % 30_000), "1", "0", "100", "-1", "2", "32000"]


def _texts(n: int) -> list[str]:
    return [
        f"value {n}", f"value{n}", f"v{n}", f"v{n}@example.com", f"https://example.com/{n}", f"{n}", "en", "A", "a",
        "AAA", f"+1555{n:07}", "UTC", "{}", "2001-01-01", f"{n:032x}", f"00000000-0000-0000-0000-{n:012x}", "",
    ]  # fmt: skip


_BY_KIND: dict[str, Callable[[int], list[str]]] = {
    "bool": lambda n: ["true", "false"] if n % 2 else ["false", "true"],
    "int2": _whole,
    "int4": _whole,
    "int8": _whole,
    "oid": lambda n: [str(n), "1"],
    "xid8": lambda n: [str(n)],
    "numeric": lambda n: [str(n), "1", "0", "0.5", "100", "-1"],
    "float4": lambda n: [f"{n}.5", "1", "0", "0.5", "-1"],
    "float8": lambda n: [f"{n}.5", "1", "0", "0.5", "-1"],
    "money": lambda n: [str(n), "0"],
    "date": _dates,
    "time": _times,
    "timetz": lambda n: [f"{time}+00" for time in _times(n)],
    "timestamp": lambda n: [f"{date} 10:00:00" for date in _dates(n)],
    "timestamptz": lambda n: [f"{date} 10:00:00+00" for date in _dates(n)],
    "interval": lambda n: [f"{n} hours", "0", "1 day", "1 month"],
    "uuid": lambda n: [f"00000000-0000-4000-8000-{n:012x}"],
    "json": lambda n: [f'{{"n": {n}}}', "{}", "[]", f"[{n}]", f'"v{n}"', str(n), "true", "null"],
    "jsonb": lambda n: [f'{{"n": {n}}}', "{}", "[]", f"[{n}]", f'"v{n}"', str(n), "true", "null"],
    "xml": lambda n: [f"<v>{n}</v>"],
    "bytea": lambda n: [f"\\x{n:08x}", "\\x", f"\\x{n:064x}", f"\\x{n:024x}", f"\\x{n:0128x}"],
    "inet": lambda n: [f"10.0.{n % 250}.{n % 200 + 1}", "::1"],
    "cidr": lambda n: [f"10.{n % 250}.0.0/16"],
    "macaddr": lambda n: [f"08:00:2b:01:02:{n % 256:02x}"],
    "macaddr8": lambda n: [f"08:00:2b:01:02:03:04:{n % 256:02x}"],
    "point": lambda n: [f"({n},{n})"],
    "line": lambda n: [f"{{1,{n},1}}"],
    "lseg": lambda n: [f"[({n},0),(1,1)]"],
    "box": lambda n: [f"({n},{n}),(0,0)"],
    "path": lambda n: [f"[({n},0),(1,1)]"],
    "polygon": lambda n: [f"(({n},0),(1,1),(0,2))"],
    "circle": lambda n: [f"<({n},0),1>"],
    "tsvector": lambda n: [f"'word{n}':1", ""],
    "tsquery": lambda n: [f"'word{n}'"],
    "pg_lsn": lambda n: [f"0/{n:X}"],
    "jsonpath": lambda n: [f'$."n{n}"'],
    "int4range": lambda n: _ranges(str(n * 10), str(n * 10 + 5)),
    "int8range": lambda n: _ranges(str(n * 10), str(n * 10 + 5)),
    "numrange": lambda n: _ranges(str(n * 10), str(n * 10 + 5)),
    "daterange": lambda n: _ranges(f"{2000 + n}-01-01", f"{2000 + n}-06-01"),
    "tsrange": lambda n: _ranges(f"{2000 + n}-01-01", f"{2000 + n}-06-01"),
    "tstzrange": lambda n: _ranges(f"{2000 + n}-01-01 00:00+00", f"{2000 + n}-06-01 00:00+00"),
    "hstore": lambda n: [f"n=>{n}", ""],
    "ltree": lambda n: [f"top.n{n}"],
    "citext": _texts,
    "text": _texts,
    "varchar": _texts,
    "bpchar": _texts,
    "name": _texts,
}
#: Types of which nothing is known are tried with what many types read.
_ANYTHING = ("0", "1", "", "{}", "[]", "()", "a", "[1,2,3]", "2001-01-01")
_TEXTUAL = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_DOCUMENTS = frozenset({"json", "jsonb"})


def is_textual(column: Column) -> bool:
    """Tell whether a column takes letters."""
    return column.kind in _TEXTUAL


def is_known(column: Column) -> bool:
    """Tell whether values of a column's type are made, rather than guessed."""
    return bool(column.labels or column.parts or column.element or column.kind in _BY_KIND)


def are_sure(column: Column, expressions_: Sequence[str]) -> bool:
    """Tell whether every value that is made for a column can be read as one of its type: nothing has to be tried."""
    return column.kind in _BY_KIND and not expressions_ and (_size(column) is None or is_textual(column))


def of(column: Column, n: int, expressions_: Sequence[str] = ()) -> list[str]:
    """Return values that a column may take, the plainest first, without doublets.

    Args:
        column: which one.
        n: a number for each row, so that values differ.
        expressions_: of the CHECKs that read it: the literals in them are tried first.
    """
    found = [*_told(column, n, expressions_), *_plain(column, n)]
    return list(dict.fromkeys(_fitting(column, value) for value in found))


def longest(column: Column, n: int) -> str:
    """Return a text as long as a column takes, or longer than most limits."""
    size = _size(column)
    return (f"{n} ".ljust(min(size or _LONG, _LONG), "x"))[: size or _LONG]


def _plain(column: Column, n: int) -> list[str]:
    if column.element is not None:
        inner = [*column.labels] or [text for text in _of_type(column.element, n) if text]
        return [*(f'{{"{_escaped(text)}"}}' for text in inner[:3]), "{}", f'{{"{_escaped(inner[0])}"}}']
    if column.labels:
        turned = n % len(column.labels)
        return [*column.labels[turned:], *column.labels[:turned]]
    if column.parts:
        fields = ",".join(f'"{_escaped(_of_type(part, n)[0])}"' for part in column.parts)
        return [f"({fields})"]
    if column.kind in {"bit", "varbit"}:
        return ["".join("10"[(n + place) % 2] for place in range(_size(column) or 1))]
    return _of_kind(column.kind, n)


def _of_kind(kind: str, n: int) -> list[str]:
    made = _BY_KIND.get(kind)
    return made(n) if made else list(_ANYTHING)


#: What format_type calls them.
_SPELLED = {
    "boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4",
    "double precision": "float8", "character varying": "varchar", "character": "bpchar",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
    "time without time zone": "time", "time with time zone": "timetz",
}  # fmt: skip


def _of_type(spelled: str, n: int) -> list[str]:
    bare = _SIZE.sub("", spelled).strip()
    return _of_kind(_SPELLED.get(bare, bare), n)


def _told(column: Column, n: int, expressions_: Sequence[str]) -> list[str]:
    """Return what CHECKs name: literals, numbers, and texts of the lengths and patterns that they ask for."""
    found: list[str] = []
    for expression in expressions_:
        named = expressions.texts(expression)
        if column.element is not None:
            found += [f'{{"{_escaped(text)}"}}' for text in named]
        elif column.kind in _DOCUMENTS:
            found += [f'{{"{_escaped(name)}": "v{n}"}}' for name in named]
            found += [f'{{"{_escaped(name)}": {n}}}' for name in named]
            found += ["{" + ", ".join(f'"{_escaped(name)}": {n}' for name in named) + "}"] if named else []
        elif is_textual(column):
            turned = n % len(named) if named else 0
            turned_round = [*named[turned:], *named[:turned]]
            found += [*(_numbered(text, n) for text in turned_round), *turned_round]
            for length in expressions.lengths(expression):
                found += [f"{n}".rjust(near, fill)[-near:] for near in (length, length + 1, length - 1) if near > 0
                          for fill in ("a", "A", "0")]  # fmt: skip
        else:
            found += [*named, *expressions.numbers(expression)]
    return found


def _numbered(text: str, n: int) -> str:
    """Put a number in place of the last digits of a text, so that one that a pattern asks for is another each time."""
    digits = [place for place, letter in enumerate(text) if letter.isdigit()]
    letters = list(text)
    for place, digit in zip(reversed(digits), reversed(str(n).rjust(len(digits), "0")), strict=False):
        letters[place] = digit
    return "".join(letters)


def _size(column: Column) -> int | None:
    found = _SIZE.search(column.type)
    return int(found[1]) if found else None


def _fitting(column: Column, value: str) -> str:
    """Cut a text to what its column takes."""
    size = _size(column)
    return value[:size] if size is not None and is_textual(column) else value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
