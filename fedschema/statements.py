"""Splits SQL into its statements, to say which one of a batch failed and how many a plan has.

Nothing is executed piece by piece because of it: a batch goes to the server whole. PostgreSQL's lexical rules are in
the manual's chapter "Lexical Structure".
"""

from __future__ import annotations

import re

#: Block comments nest; a regular expression cannot count, and four deep is deeper than anybody writes.
_BLOCK_COMMENT = r"/\*(?:(?!/\*|\*/).)*\*/"
for _ in range(3):
    _BLOCK_COMMENT = rf"/\*(?:(?!/\*|\*/).|{_BLOCK_COMMENT})*\*/"

_LEADING_COMMENTS = re.compile(rf"\A(?:\s+|--[^\n]*(?:\n|\Z)|{_BLOCK_COMMENT})*", re.DOTALL)
_TOKEN = re.compile(
    rf"""
      --[^\n]*                                        # a comment to the end of the line
    | {_BLOCK_COMMENT}                                # a comment in a block
    | [eE]'(?:[^'\\]|\\.|'')*'                        # a string with escapes
    | '(?:[^']|'')*'                                  # a string
    | "(?:[^"]|"")*"                                  # a quoted identifier
    | (?P<dollar>(?<![\w$])\$(?:[A-Za-z_]\w*)?\$).*?(?P=dollar) # a dollar-quoted string
    | (?P<begin>\bBEGIN(?:\s|--[^\n]*\n|{_BLOCK_COMMENT})+ATOMIC\b)  # the body of an SQL function …
    | (?P<case>\bCASE\b(?!\$))
    | (?P<end>\bEND\b(?!\$))                                # … and its end
    | (?P<word>\w[\w$]*)
    | (?P<terminator>;)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def split(sql: str) -> list[str]:
    """Return the statements of a script, each without its terminator; pieces that are only comments are left out."""
    statements: list[str] = []
    depth = start = 0
    meaningful = False
    for token in _TOKEN.finditer(sql):
        match token.lastgroup:
            case "begin":
                depth += 1
            case "case" if depth:
                depth += 1
            case "end" if depth:
                depth -= 1
            case "terminator" if depth == 0:
                if meaningful:
                    statements.append(sql[start : token.start()].strip())
                start, meaningful = token.end(), False
        meaningful = meaningful or token.lastgroup in {"word", "begin", "case", "end"}
    if meaningful:
        statements.append(sql[start:].strip())
    return statements


def headline(statement: str, width: int = 120) -> str:
    """Return the beginning of a statement on one line, without leading comments."""
    line = " ".join(_LEADING_COMMENTS.sub("", statement).split())
    return line if len(line) <= width else line[: width - 1] + "…"
