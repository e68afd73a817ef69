"""Whole transactions as text: what adding a department, or moving one along a plan, sends to the server.

The same text goes two ways: `execute` sends it as one message inside a transaction of ours, and `as_script` frames it
for psql. So a script and a command cannot differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg import generators, pq
from psycopg.errors import error_from_result

from fedschema import statements
from fedschema.connections import BECOME_OWNER, cancel, translate
from fedschema.department import Department
from fedschema.errors import FedschemaError
from fedschema.plans import Plan, PlanStep
from fedschema.rendering import Templates, quote_identifier, quote_literal

_SECRET = re.compile(r"(PASSWORD\s+)'[^']*'", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Batch:
    """SQL that runs in one transaction, as federation_owner.

    Attributes:
        what: the operation, for messages: ``adding department legal``.
        sql: the statements.
    """

    what: str
    sql: str


def creation(templates: Templates, department: Department, name: str, email: str | None, plan: Plan) -> Batch:
    """Return everything that makes a department: registry row, role, schema, tables with their walls, history."""
    building = foundation(templates, department, name, email, plan)
    return Batch(f"adding department {department}", f"{building.sql}\n{opening(templates, department).sql}")


def foundation(templates: Templates, department: Department, name: str, email: str | None, plan: Plan) -> Batch:
    """Return the first part of `creation`: the department but for the check of its walls and a role of ours."""
    provision = templates.render("tenant/department/provision", department=department, name=name, email=email)
    return Batch(f"making department {department}", f"{provision}\n{plan.script(department)}")


def opening(templates: Templates, department: Department) -> Batch:
    """Return the second part of `creation`, by which it is in service.

    From PostgreSQL 16 on it holds a lock that everybody waits for who makes a department.
    """
    activate = templates.render("tenant/department/activate", department=department)
    return Batch(f"opening department {department}", f"{_end(department)}\n{activate}")


def scratch(templates: Templates, department: Department, plan: Plan) -> Batch:
    """Return what makes a department that is rolled back, and so is never opened."""
    made = foundation(templates, department, "Rehearsal", None, plan)
    return Batch(f"making the scratch department {department}", made.sql)


def migration(department: Department, plan: Plan) -> Batch:
    """Return what takes a department along a plan, if it is where the plan starts."""
    start = ", ".join(quote_literal(revision) for revision in plan.start)
    begin = f"CALL federation.begin_migration({quote_literal(department.id)}, ARRAY[{start}]::text[]);\n"
    direction = plan.steps[0].direction if plan.steps else "upgrade"
    return Batch(
        f"{direction} of department {department}", "\n".join((begin, plan.script(department), _end(department)))
    )


def adoption(templates: Templates, department: Department, plan: Plan) -> Batch:
    """Return what stamps a schema that becomes a department, and puts it into service.

    What its version table said before is forgotten, so that the history has all that it says.
    """
    forget = f"DELETE FROM {quote_identifier(department.schema)}.alembic_version;\n"  # noqa: S608 - quoted
    activate = templates.render("tenant/department/activate", department=department)
    return Batch(
        f"adopting department {department}", "\n".join((forget, plan.script(department), _end(department), activate))
    )


def completion(department: Department, step: PlanStep, began: str) -> Batch:
    """Return what says that a step is done that was done outside the transaction.

    Args:
        department: which one; it is held already.
        step: what was done.
        began: when, as PostgreSQL writes a time.
    """
    return Batch(
        f"{step.direction} of department {department}",
        "\n".join((f"{step.headline}\n{step.bookkeeping(department, began)}", _end(department))),
    )


def removal(templates: Templates, department: Department) -> Batch:
    """Return what drops a department, once nobody works in it: all but its registry row and its history."""
    lock = f"CALL federation.lock_department({quote_literal(department.id)});\n"
    return Batch(
        f"dropping department {department}", lock + templates.render("tenant/department/drop", department=department)
    )


def bootstrap(templates: Templates) -> Batch:
    """Return what the control plane's revisions stand on; it begins as the login, since the owner may not exist yet."""
    return Batch("preparing the control plane", templates.render("federation/bootstrap"))


def control_plane(templates: Templates, plan: Plan) -> Batch:
    """Return what makes the control plane, or moves it along a plan."""
    return Batch("the control plane", bootstrap(templates).sql + "\n" + plan.script(None))


def _end(department: Department) -> str:
    return f"-- Nothing is committed that stands open.\nCALL federation.assert_walls({quote_literal(department.id)});\n"


def as_script(batch: Batch, *, as_owner: bool = True) -> str:
    """Frame a batch as a script of its own: one transaction, all or nothing."""
    role = f"{BECOME_OWNER};\n" if as_owner else ""
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED;\nSET LOCAL client_encoding = 'UTF8';\n"
    return f"{begin}{role}\n{batch.sql.rstrip()}\n\nCOMMIT;\n"


def execute(connection: psycopg.Connection, batch: Batch, plan: Plan | None = None) -> None:
    """Send a batch to the server in one message and wait for all its results.

    Args:
        connection: inside a transaction already.
        batch: what to run.
        plan: its plan, to name the revision whose statement failed.

    Raises:
        FedschemaError: the translated error of the first statement that failed; the caller's transaction is then over.
    """
    assert connection.info.transaction_status is pq.TransactionStatus.INTRANS, "a batch needs a transaction around it"  # noqa: S101
    try:
        connection.pgconn.send_query(batch.sql.encode())
        results = connection.wait(generators.execute(connection.pgconn))
    except BaseException:
        _leave(connection)
        raise
    failed = results[-1] if results else None
    if failed is not None and failed.status == pq.ExecStatus.FATAL_ERROR:
        error = error_from_result(failed, encoding="utf-8")
        raise _explained(error, batch, plan, len(results) - 1) from error


def _leave(connection: psycopg.Connection) -> None:
    """End what an interrupt left running: psycopg does it for one that comes while it waits, and for no other."""
    if connection.info.transaction_status is pq.TransactionStatus.ACTIVE:
        cancel(connection)
        connection.close()  # whatever became of the cancellation: the server rolls back when it finds nobody there


def shown(statement: str) -> str:
    """Return the beginning of a statement as people may see it: on one line, without a password."""
    return _SECRET.sub(r"\1'…'", statements.headline(statement))


def _explained(error: psycopg.Error, batch: Batch, plan: Plan | None, position: int) -> FedschemaError:
    """Say which statement failed, and of which revision."""
    parts = statements_of(batch, plan)
    statement, revision = parts[position] if position < len(parts) else (None, parts[-1][1] if parts else None)
    return translate(error, batch.what, revision, shown(statement) if statement else None)


def statements_of(batch: Batch, plan: Plan | None) -> list[tuple[str, str | None]]:
    """Split a batch into its statements, each with the revision that it belongs to: each begins with its headline."""
    found: list[tuple[str, str | None]] = []
    running: str | None = None
    steps = iter(plan.steps if plan else ())
    coming = next(steps, None)
    for part in statements.split(batch.sql):
        if coming is not None and part.startswith(coming.headline):
            running, coming = coming.revision, next(steps, None)
        elif part.startswith("-- Nothing is committed"):
            running = None
        found.append((part, running))
    return found
