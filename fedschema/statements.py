"""Splits SQL into its statements, to say which one of a batch failed and how many a plan has.

Nothing is executed piece by piece because of it: a batch goes to the server whole. PostgreSQL's lexical rules are in
the manual's chapter "Lexical Structure".
"""

from __future__ import annotations

import re

#: Block comments nest; a regular expression cannot count, and four deep is deeper than anybody writes.
BLOCK_COMMENT = r"/\*(?:(?!/\*|\*/).)*\*/"
for _ in range(3):
    BLOCK_COMMENT = rf"/\*(?:(?!/\*|\*/).|{BLOCK_COMMENT})*\*/"

_LEADING_COMMENTS = re.compile(rf"\A(?:\s+|--[^\n]*(?:\n|\Z)|{BLOCK_COMMENT})*", re.DOTALL)
#: What is skipped, whatever is in it.
_OPAQUE = rf"""
      --[^\n]*                                        # a comment to the end of the line
    | {BLOCK_COMMENT}                                # a comment in a block
    | [eE]'(?:[^'\\]|\\.|'')*'                        # a string with escapes
    | '(?:[^']|'')*'                                  # a string
    | (?P<dollar>(?<![\w$])\$(?:[A-Za-z_]\w*)?\$).*?(?P=dollar) # a dollar-quoted string
"""
_TOKEN = re.compile(
    rf"""{_OPAQUE}
    | "(?:[^"]|"")*"                                  # a quoted identifier
    | (?P<begin>\bBEGIN(?:\s|--[^\n]*\n|{BLOCK_COMMENT})+ATOMIC\b)  # the body of an SQL function …
    | (?P<case>\bCASE\b(?!\$))
    | (?P<end>\bEND\b(?!\$))                                # … and its end
    | (?P<word>\w[\w$]*)
    | (?P<terminator>;)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMMENT_OR_QUOTED = re.compile(
    rf"""--[^\n]* | {BLOCK_COMMENT} | (?P<kept>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*")""",
    re.VERBOSE | re.DOTALL,
)
_ELEMENT = re.compile(
    rf"""{_OPAQUE}
    | "(?P<quoted>(?:[^"]|"")*)"
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<comma>,)
    | (?P<word>\w[\w$]*)
    """,
    re.VERBOSE | re.DOTALL,
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


def without_comments(text: str) -> str:
    """Return SQL, or the body of a function, with a space in place of each comment.

    What looks like one in a string stays. Dollar quotes are no strings here: a body is read as what it does.
    """
    return _COMMENT_OR_QUOTED.sub(lambda found: found["kept"] or " ", text)


def moves_savepoints(statement: str) -> bool:
    """Tell whether a statement sets a savepoint, releases one or goes back to one."""
    return re.match(r"(?:SAVEPOINT|RELEASE|ROLLBACK)\b", headline(statement), re.IGNORECASE) is not None


def first_names(definition: str) -> list[str]:
    """Return the first word of each element of a table's definition: a column's name, or ``constraint`` and the like.

    Args:
        definition: what stands between the parentheses of CREATE TABLE.
    """
    names: list[str] = []
    depth, awaited = 0, True
    for token in _ELEMENT.finditer(definition):
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "comma" if depth == 0:
                awaited = True
            case "quoted" | "word" if awaited:
                quoted = token["quoted"]
                names.append(token["word"].lower() if quoted is None else quoted.replace('""', '"'))
                awaited = False
    return names
