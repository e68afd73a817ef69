"""Judges one revision: its file, what it writes in either direction, and what squawk says of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fedschema import linting
from fedschema import statements as texts
from fedschema.errors import TemplateMissing
from fedschema.linting import Lint
from fedschema.nontransactional import Backfill
from fedschema.review import conduct, names
from fedschema.review.grounds import shown, with_stand_in
from fedschema.review.readings import Library, Reading
from fedschema.review.rules import (
    EMPTY_REVISION,
    NO_DOWNGRADE,
    NOT_COMPILABLE,
    RAW_OPERATION,
    SESSION_STATE,
    TEMPLATE_MISSING,
    Finding,
    Level,
    Rule,
)
from fedschema.review.suppressing import Quiet
from fedschema.review.trees import Statement
from fedschema.review.writings import Way, Writing

#: What a downgrade is there for.
_TAKING_BACK = "ban-drop-"


def judged(library: Library, reading: Reading, server: int) -> list[Finding]:
    """Return what is wrong with a revision, but for what its comments allow.

    Args:
        library: all revisions.
        reading: the revision.
        server: the PostgreSQL that squawk judges for, as libpq has its version.

    Raises:
        NotLinted: squawk cannot be run.
    """
    quiet = Quiet(reading)
    found: list[tuple[Finding, Statement | None]] = [
        *((one, None) for one in _of_source(reading)),
        *((one, None) for one in _of_downgrade(reading)),
    ]
    for writing in reading.writings:
        if writing.error:
            found += [(one, None) for one in _uncompiled(reading, writing)]
        found += _of_writing(library, reading, writing, server)
    left = [finding for finding, statement in found if not quiet.allows(finding, statement)]
    return _each_once([*left, *quiet.complaints()])


def _each_once(findings: list[Finding]) -> list[Finding]:
    """Leave out what the source and the SQL tell alike: the same rule on the same line."""
    seen: dict[tuple[str, str, int | None, str | None], Finding] = {}
    for one in findings:
        key = (one.rule, one.message, one.line, one.statement)
        if one.rule == RAW_OPERATION.name:
            key = (one.rule, "", one.line, None)
        seen.setdefault(key, one)
    return sorted(seen.values(), key=lambda one: (one.line or 0, one.rule))


def _breach(reading: Reading, rule: Rule, message: str, line: int | None, way: Way | None = None) -> Finding:
    return rule.broken(shown(message), reading.revision, reading.file, line, way)


def _of_source(reading: Reading) -> Iterator[Finding]:
    for line, name in reading.source.raw_operations():
        yield _breach(reading, RAW_OPERATION, f"op.{name} is Alembic's own", reading.source.beginning_of(line))


def _of_downgrade(reading: Reading) -> Iterator[Finding]:
    up, down = reading.writings
    function = reading.source.function("downgrade")
    line = function.lineno if function else None
    if not up.error and not up.does_something:
        begun = reading.source.function("upgrade")
        yield _breach(reading, EMPTY_REVISION, "upgrade does nothing", begun.lineno if begun else None, "upgrade")
        return
    fills = up.step is not None and isinstance(up.step.nontransactional, Backfill)
    if function is None and not callable(getattr(reading.script.module, "downgrade", None)):
        yield _breach(reading, NO_DOWNGRADE, "there is no downgrade", None, "downgrade")
    elif (reading.is_online and reading.source.is_empty("downgrade")) or (
        not down.error and not down.does_something and not fills
    ):
        yield _breach(reading, NO_DOWNGRADE, "downgrade does nothing", line, "downgrade")


def _uncompiled(reading: Reading, writing: Writing) -> Iterator[Finding]:
    cause = writing.error.__cause__ if writing.error else None
    if writing.way == "downgrade" and (
        reading.source.raises_with_reason("downgrade") or not hasattr(reading.script.module, "downgrade")
    ):
        return  # it says why there is no way back; or there is none, which has a rule of its own
    function = reading.source.function(writing.way)
    line = next((one.line for one in reversed(writing.passages)), None) or (function.lineno if function else None)
    rule = TEMPLATE_MISSING if isinstance(cause, TemplateMissing) else NOT_COMPILABLE
    message = cause.message if isinstance(cause, TemplateMissing) else str(writing.error and writing.error.message)
    yield _breach(reading, rule, message, line, writing.way)


def _of_writing(
    library: Library, reading: Reading, writing: Writing, server: int
) -> list[tuple[Finding, Statement | None]]:
    found: list[tuple[Finding, Statement | None]] = []
    for passage in writing.passages:
        if passage.is_raw:
            message = f"{passage.operation.removesuffix('Op')} is an operation of Alembic's own"
            line = reading.source.beginning_of(passage.line) if passage.line else None
            found.append((_breach(reading, RAW_OPERATION, message, line, writing.way), None))
    statements = reading.statements[writing.way]
    ground = library.ground(reading, writing)
    for statement in statements:
        breaches = [*names.breaches(statement, ground), *conduct.breaches(statement, ground)]
        if writing.passage_at(statement.offset) is None:
            breaches.append((RAW_OPERATION, "no operation wrote this"))
        found += [(_at(reading, writing, statement, rule, message), statement) for rule, message in breaches]
    if last := conduct.unfinished(statements):
        message = "the role stays another one after the revision"
        found.append((_at(reading, writing, last, SESSION_STATE, message), last))
    return found + _of_squawk(reading, writing, statements, server)


def _at(reading: Reading, writing: Writing, statement: Statement, rule: Rule, message: str) -> Finding:
    one = _breach(reading, rule, message, _line(reading, writing, statement), writing.way)
    return _with_statement(one, statement)


def _with_statement(one: Finding, statement: Statement) -> Finding:
    return replace(one, statement=texts.headline(shown(statement.text)))


def _line(reading: Reading, writing: Writing, statement: Statement) -> int | None:
    passage = writing.passage_at(statement.offset)
    return reading.source.beginning_of(passage.line) if passage and passage.line else None


def _of_squawk(
    reading: Reading, writing: Writing, statements: list[Statement], server: int
) -> list[tuple[Finding, Statement | None]]:
    """Return what squawk says; of a way back not that it drops what the way up has made."""
    found: list[tuple[Finding, Statement | None]] = []
    for lint in linting.lint(with_stand_in(writing.sql), server, reading.project.root):
        if writing.way == "downgrade" and lint.rule.startswith(_TAKING_BACK):
            continue
        statement = statements[lint.statement] if lint.statement < len(statements) else None
        one = _squawked(reading, writing.way, lint, _line(reading, writing, statement) if statement else None)
        found.append((_with_statement(one, statement) if statement else one, statement))
    return found


def _squawked(reading: Reading, way: Way, lint: Lint, line: int | None) -> Finding:
    level = Level.ERROR if lint.level.lower() == "error" else Level.WARNING
    message = shown(lint.message)
    return Finding(lint.rule, level, message, lint.mend, reading.revision, reading.file, line, way)
