"""The registry of checks that `validate`, `doctor` and the probe share: each with a name, a reason and a mend.

A check is a question to the catalogue, in templates/checks/<name>.sql.j2, asked once for all departments. Each row of
the answer is a hole: who gains by it, whose data it opens, which object it is in, what is wrong, and what mends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from fedschema import registry
from fedschema.department import Department
from fedschema.rendering import Templates

#: The target of a hole that opens every department.
EVERYBODY = "*"
#: How long a look waits for a lock that somebody holds.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '1s'"
#: How a hole begins that is none: somebody holds what would have to be looked at (templates/checks/locks.sql.j2).
NOT_TRIED = "not tried: "
#: How often a check is asked anew when what it waited for is free by then.
_ATTEMPTS = 3

_ROUTINE = re.compile(r"^CREATE (?:FUNCTION|PROCEDURE) federation\.", re.MULTILINE)
_BODY = re.compile(r"AS \$function\$(.*?)\$function\$", re.DOTALL)
_TRIGGER = re.compile(r"CREATE TRIGGER (\w+)\s[^;]*?\sON federation\.(\w+)")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold.

    Attributes:
        name: a stable name for scripts, in snake_case.
        reason: why it matters, for a person.
        mend: what to do when it does not hold.
    """

    name: str
    reason: str
    mend: str


@dataclass(frozen=True, slots=True)
class Hole:
    """One place where a check does not hold.

    Attributes:
        check: the name of the check.
        source: who gains by it: a department's id, a role, or PUBLIC; None when nobody in particular does.
        target: the department whose data it opens; `EVERYBODY` for all of them.
        object: what it is in: ``table contacts``, ``role hr_role``.
        message: what is wrong with it.
        mend: the statement or the command that closes it; None where the check's own advice is all there is.
    """

    check: str
    source: str | None
    target: str
    object: str
    message: str
    mend: str | None = None

    def concerns(self, department: Department) -> bool:
        """It opens this department, or it is this department that gains."""
        return self.target in {department.id, EVERYBODY} or self.source in {department.id, department.role}

    @property
    def pair(self) -> str:
        """Who gains, and whose data it opens; only the latter where nobody in particular gains."""
        opened = "every department" if self.target == EVERYBODY else self.target
        return f"{self.source} -> {opened}" if self.source else opened

    def __str__(self) -> str:
        """Say it in one line, the pair first."""
        return f"{self.pair}: {self.object}: {self.message}"


#: What the catalogue is asked, in this order.
CATALOGUE_CHECKS = (
    Check(
        "walls",
        "each table, sequence, view and function has exactly its walls",
        "fedschema tenant sql ID --rls-only prints the policies, to be applied again; the rest was put there by hand",
    ),
    Check("policies", "one permissive policy too many is an OR too many", "DROP POLICY … ON …"),
    Check("grants", "a privilege on a department's objects is for its own role and the platform's", "REVOKE … FROM …"),
    Check(
        "attributes",
        "a role that bypasses row-level security, or can make itself one, sees every row",
        "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION",
    ),
    Check("memberships", "a member can become what it is a member of", "REVOKE role FROM member"),
    Check("ownership", "who owns a thing can open it to anybody", "REASSIGN OWNED BY … TO federation_owner"),
    Check(
        "views",
        "a view reads as its owner, past what its reader may see",
        "ALTER VIEW … SET (security_invoker = true), or REVOKE it",
    ),
    Check(
        "functions",
        "a SECURITY DEFINER function lends the rights of somebody who sees departments",
        "REVOKE EXECUTE ON FUNCTION … FROM …, or ALTER FUNCTION … SECURITY INVOKER",
    ),
    Check(
        "control_plane",
        "who can write grants or entitlements, or read secrets, needs no other hole",
        "REVOKE … FROM …; fedschema init puts the platform's own privileges up again",
    ),
    Check(
        "decisions",
        "what decides who may see what, and keeps it on record, is as fedschema made it",
        "put it back from templates/federation/control_plane, as federation_owner",
    ),
    Check(
        "entitlements",
        "whoever logs in under an entitled name speaks for a department",
        "fedschema gateway remove LOGIN",
    ),
    Check("role_settings", "a search_path leads unqualified names elsewhere", "ALTER ROLE … SET search_path = …"),
    Check(
        "database",
        "who need not come in stays outside, and nobody makes things that others trip over",
        "fedschema init puts up again what belongs to the database as a whole",
    ),
    Check("publications", "what is published leaves the server past row-level security", "DROP PUBLICATION …"),
)

#: What `validate` asks beside them: whether what the platform believes of its departments is so.
STATE_CHECKS = (
    Check(
        "registry",
        "each department has its version table, and nothing of ours is there without a department",
        "fedschema tenant show ID, and fedschema drift ID",
    ),
    Check(
        "history",
        "each version table says what the history says",
        "fedschema history ID shows what was applied, fedschema drift ID whether it is there",
    ),
)
#: Answered by comparing, not by a question: `fedschema.drift`.
SCHEMA_CHECK = Check(
    "schema",
    "each table, column, constraint, index, sequence, trigger and function is as the department's revisions make it",
    "fedschema drift ID shows each difference, fedschema drift ID --repair mends what takes no row along",
)

#: What is worth knowing and opens no department by itself: said, and no reason to fail.
REMARKS = (
    Check("large_objects", "large objects know no row-level security", "REVOKE EXECUTE ON FUNCTION … FROM PUBLIC"),
)


def run(
    connection: psycopg.Connection,
    templates: Templates,
    departments: Sequence[Department],
    chosen: Iterable[Check] = CATALOGUE_CHECKS,
) -> list[Hole]:
    """Ask the catalogue, once a check, and return what does not hold, and what could not be looked at.

    Args:
        connection: inside an owner's transaction; nothing is changed.
        templates: the project's.
        departments: whose walls are looked at; roles and the control plane are looked at in any case.
        chosen: which checks.
    """
    connection.execute(LOCK_TIMEOUT)
    found: list[Hole] = []
    for check in chosen:
        found += _patiently(connection, templates, departments, check)
    return found


def hold(
    connection: psycopg.Connection, templates: Templates, department: Department, tables: Sequence[str], check: Check
) -> list[Hole]:
    """Take a department's tables, so that nothing waits for one of them until the transaction ends.

    Returns:
        those that somebody else holds, as holes of a check: they cannot be tried. From then on nobody waits for long.
    """
    places = [sql.Identifier(department.schema, table) for table in tables]
    if not places:
        return []
    try:
        with connection.transaction():
            connection.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(sql.SQL(", ").join(places)))
    except LockNotAvailable:
        connection.execute("SET LOCAL lock_timeout = '50ms'")
        return _ask(connection, templates, [department], check, "locks")
    except psycopg.Error:
        return []  # one is not the owner's: the catalogue says so
    return []


def _patiently(
    connection: psycopg.Connection, templates: Templates, departments: Sequence[Department], check: Check
) -> list[Hole]:
    """Ask one check; leave out the departments of which somebody holds a table, and say so.

    PostgreSQL locks a table to show a policy's expression, and so waits for whoever alters it.
    """
    unseen: list[Hole] = []
    for attempt in range(_ATTEMPTS):
        held = {hole.target for hole in unseen}
        seen = [department for department in departments if department.id not in held]
        try:
            with connection.transaction():
                return unseen + _ask(connection, templates, seen, check, check.name)
        except LockNotAvailable:
            if attempt == _ATTEMPTS - 1:
                raise
            unseen = _ask(connection, templates, departments, check, "locks")
    raise AssertionError(check.name)  # the last attempt returns or raises


def _ask(
    connection: psycopg.Connection, templates: Templates, departments: Sequence[Department], check: Check, question: str
) -> list[Hole]:
    """Ask one question of templates/checks; the rows of its answer are holes of a check."""
    known = {department.role: department.id for department in departments}
    values = {"departments": [department.id for department in departments], **_wanted(templates.directory)}
    if question == "history":
        values["versions"] = _versions(connection, departments)
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        rows = cursor.execute(templates.render(f"checks/{question}").encode(), values)
        return [
            Hole(
                check.name,
                row.source and known.get(row.source, row.source),
                row.target,
                row.object,
                row.message,
                row.mend,
            )
            for row in rows
        ]


def _versions(connection: psycopg.Connection, departments: Sequence[Department]) -> Jsonb:
    """Return the rows of the departments' version tables."""
    found = registry.revisions(connection, departments)
    return Jsonb(
        [{"department": one.id, "revision": revision} for one, heads in found.items() for revision in heads or ()]
    )


@dataclass(frozen=True, slots=True)
class _Row:
    source: str | None
    target: str
    object: str
    message: str
    mend: str | None


@cache
def _wanted(directory: Path) -> Mapping[str, Jsonb]:
    """Return the control plane's functions and triggers as the templates make them, for check `decisions`.

    A function may have several texts, one for each revision that made it.
    """
    texts = [path.read_text("utf-8") for path in sorted(directory.glob("federation/**/*.sql.j2"))]
    functions: dict[str, tuple[list[str], bool]] = {}
    for name, options, body in _functions(texts):
        known, _ = functions.setdefault(name, ([], False))
        functions[name] = ([*known, body] if body else known, "SECURITY DEFINER" in options)
    triggers = {found for text in texts for found in _TRIGGER.findall(text)}
    return {
        "functions": Jsonb(
            [{"name": name, "texts": texts, "definer": definer} for name, (texts, definer) in functions.items()]
        ),
        "triggers": Jsonb([{"name": name, "table_name": table} for name, table in sorted(triggers)]),
    }


def _functions(texts: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, options and text of each function; the text is empty where PostgreSQL keeps none (BEGIN ATOMIC)."""
    for text in texts:
        for routine in _ROUTINE.split(text)[1:]:
            name = routine.partition("(")[0]
            if body := _BODY.search(routine):
                yield name, routine[: body.start()], body[1]
            else:
                yield name, routine.partition(";")[0], ""
