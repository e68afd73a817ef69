"""Turns the SQL templates into SQL, and lets a name or a text into it only through a filter that quotes.

``{{ department.schema | ident }}`` is an identifier, ``{{ department.id | literal }}`` a string constant. A template
that prints anything without one of the two filters fails to render: see `_refuse_unquoted`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2

from fedschema.errors import TemplateMissing

_PLAIN_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")

#: Key words of PostgreSQL 14 to 18 that a bare name may not be (manual appendix "SQL Key Words", reserved).
_RESERVED_WORDS = """
    all analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading
    left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing
    primary references returning right select session_user similar some symmetric system_user table tablesample then to
    trailing true union unique user using variadic verbose when where window with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


class SqlText(str):
    """A piece of SQL that went through a quoting filter and may be printed as it is."""

    __slots__ = ()


def quote_identifier(name: str) -> SqlText:
    """Return `name` as an SQL identifier, in double quotes where it needs them.

    Raises:
        ValueError: for a name that no identifier can hold (empty, or with a zero byte).
    """
    if not name or "\0" in name:
        raise ValueError(f"not an identifier: {name!r}")
    if _PLAIN_IDENTIFIER.fullmatch(name) and name not in _RESERVED:
        return SqlText(name)
    return SqlText('"' + name.replace('"', '""') + '"')


def quote_literal(value: str | None) -> SqlText:
    """Return `value` as an SQL string constant, or NULL.

    Backslashes are safe whatever ``standard_conforming_strings`` says: such a text becomes an E'' constant.

    Raises:
        ValueError: for a text with a zero byte, which PostgreSQL cannot store.
    """
    if value is None:
        return SqlText("NULL")
    if "\0" in value:
        raise ValueError("a zero byte cannot be part of an SQL string")
    quoted = value.replace("'", "''")
    if "\\" in quoted:
        return SqlText("E'" + quoted.replace("\\", "\\\\") + "'")
    return SqlText(f"'{quoted}'")


def quote_identifiers(names: Iterable[str]) -> SqlText:
    """Return several identifiers with commas between them."""
    return SqlText(", ".join(quote_identifier(name) for name in names))


def _refuse_unquoted(value: object) -> str:
    """Let through what a filter has quoted, and nothing else."""
    if isinstance(value, SqlText):
        return str(value)
    raise TypeError(f"a template printed {value!r} without | ident or | literal")


class Templates:
    """The SQL templates of one project.

    Args:
        directory: where the ``.sql.j2`` files are.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(directory),
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # noqa: S701 - SQL, not HTML; `finalize` refuses whatever was not quoted
            finalize=_refuse_unquoted,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "ident": quote_identifier,
            "idents": quote_identifiers,
            "literal": quote_literal,
        }

    def render(self, name: str, /, **values: Any) -> str:  # noqa: ANN401 - whatever the template asks for
        """Render the template `name` (a path below the directory, without ``.sql.j2``).

        Raises:
            TemplateMissing: it is not there, or one that it includes is not.
            jinja2.TemplateError: it uses a value that was not given.
        """
        try:
            return self._environment.get_template(f"{name}.sql.j2").render(**values)
        except jinja2.TemplateNotFound as error:
            raise TemplateMissing(str(error.name).removesuffix(".sql.j2"), self.directory) from error
