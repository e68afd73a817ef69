"""The adoption: handed over, compared, repaired if asked, stamped, checked; in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import psycopg
from psycopg import sql

from fedschema import batches, checks, drift, events, inspection, registry
from fedschema.adoption import fitting, takeover
from fedschema.adoption.clearing import clear, hand_back_functions
from fedschema.adoption.outcome import Adoption, Wish
from fedschema.checks import CATALOGUE_CHECKS, STATE_CHECKS, Hole
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.differences import Difference, compare
from fedschema.errors import NotAdoptable
from fedschema.fleet.pace import Pace
from fedschema.fleet.references import met
from fedschema.inspection import Description, Pattern, Thing
from fedschema.obstacles import refuse_adoption
from fedschema.repairs import plan_repairs
from fedschema.versions import VERSION_TABLE, Heads


def adopt(conninfo: str, compiler: Compiler, wish: Wish) -> Adoption:
    """Make a schema that is there a department, or change nothing and say why.

    Args:
        conninfo: the database; the login has to own what is adopted, or be a superuser.
        compiler: the project.
        wish: what is adopted, and how.

    Returns:
        what came of it; with a problem, or for a dry run, nothing was changed.

    Raises:
        DepartmentExists, NameTaken, NothingToAdopt, UsageError: see `obstacles.refuse_adoption`.
        UnknownRevision, ForeignRevision, NotRehearsable: see `fitting.patterns`.
        PrivilegeMissing: somebody else owns it.
        LockTimeout: somebody works in its tables.
        StatementFailed, ReferencesUnmet: a repair meets rows that it does not fit.
    """
    what = f"adopting department {wish.department}"
    with connect(conninfo) as connection:
        with owner_transaction(connection, what):
            refuse_adoption(connection, compiler, wish.department, wish.found_in, what)
        known = fitting.patterns(connection, compiler, wish.department, wish.revision)
        with owner_transaction(connection, what, rollback=wish.dry_run):
            Pace().apply(connection)
            refuse_adoption(connection, compiler, wish.department, wish.found_in, what)
            found = _Adopting(connection, compiler, wish, known).run()
            if found.problem is not None:
                raise psycopg.Rollback
    return found


class _Adopting:
    """One adoption, inside its transaction.

    Args:
        connection: inside an owner's transaction.
        compiler: the project.
        wish: what is adopted, and how.
        known: what a department looks like at the places that may be meant.
    """

    def __init__(
        self, connection: psycopg.Connection, compiler: Compiler, wish: Wish, known: Mapping[Heads, Pattern]
    ) -> None:
        self.connection = connection
        self.compiler = compiler
        self.wish = wish
        self.known = known
        self.department = wish.department

    def run(self) -> Adoption:
        """Do all of it and return what came of it; with a problem it has to be rolled back."""
        handed_over, role_made = self._make_shell()
        heads, told = self._place()
        wanted = self.known[heads].description(self.department)
        hand_back_functions(self.connection, self.department, compare(wanted, self._found()))
        differences = tuple(compare(wanted, self._found()))
        outcome = Adoption(self.department, heads, differences, handed_over, role_made)
        if told and set(told) != set(heads):
            reason = f"its version table says {', '.join(told)}, which is not {', '.join(heads)}"
            hint = "leave out --revision, or empty the table if nobody can have written it for this project"
            return replace(outcome, problem=NotAdoptable(self.department.id, reason, hint))
        left = self._settle(
            _with_what_does_not_matter(wanted, differences), [one for one in differences if one.matters]
        )
        if left:
            return replace(outcome, problem=self._unlike(heads, left))
        self._stamp(heads, handed_over)
        holes = self._holes()
        problem = self._open(holes) if holes else None
        return replace(outcome, repaired=self.wish.repair, holes=tuple(holes), problem=problem)

    def _found(self) -> Description:
        templates = self.compiler.templates
        return inspection.descriptions(self.connection, templates, [self.department])[self.department]

    def _make_shell(self) -> tuple[Mapping[str, int], bool]:
        """Make what `tenant add` makes besides the revisions: registry row, owner, role, version table."""
        connection, templates = self.connection, self.compiler.templates
        department, new = self.department, self.wish.new
        connection.execute("CALL federation.register_department(%s, %s, %s)", (department.id, new.name, new.email))
        handed_over = takeover.hand_over(connection, templates, self.wish)
        role_made = takeover.claim_role(connection, templates, self.wish)
        connection.execute(templates.render("tenant/department/schema_grants", department=department).encode())
        taken = "SELECT FROM pg_class WHERE relname = %s AND relnamespace = to_regnamespace(quote_ident(%s))"
        if connection.execute(taken, (VERSION_TABLE, department.schema)).rowcount == 0:
            connection.execute(templates.render("tenant/department/version_table", department=department).encode())
        return handed_over, role_made

    def _place(self) -> tuple[Heads, Heads]:
        """Return the place to compare with, and the rows of the version table.

        That table is only read where it is what ours is: anything else may run something when it is read.
        """
        found = self._found()
        likely = fitting.best(self.known, self.department, found)
        wanted = self.known[likely].description(self.department)
        mine = {thing for thing in {*wanted, *found} if _is_of_version_table(thing)}
        if any(wanted.get(thing) != found.get(thing) for thing in mine):
            return likely, ()
        told = registry.revisions(self.connection, [self.department])[self.department] or ()
        return (told if told in self.known else likely), told

    def _settle(self, wanted: Description, differences: Sequence[Difference]) -> Sequence[Difference]:
        """Repair what matters, if that is asked and can be done whole, and return what is left of it."""
        repairs = plan_repairs(self.department, differences)
        if not self.wish.repair or not all(one.answer.safe for one in repairs):
            return differences
        if left := clear(self.connection, self.compiler, self.department, wanted):
            return left
        with met(self.connection, self.department, f"adopting department {self.department}"):
            left = drift.mend(self.connection, self.compiler, self.department, wanted)
        return [one for one in left if one.matters]

    def _stamp(self, heads: Heads, handed_over: Mapping[str, int]) -> None:
        """Put the department where it is, and on record, and into service."""
        connection, department = self.connection, self.department
        _number_on(connection, self.wish)
        plan = self.compiler.stamp(department, (), heads)
        batches.execute(connection, batches.adoption(self.compiler.templates, department, plan))
        events.record(
            connection,
            "DEPARTMENT_ADOPTED",
            department,
            schema=self.wish.found_in,
            revision=", ".join(heads),
            handed_over=dict(handed_over),
            repaired=self.wish.repair,
        )

    def _holes(self) -> list[Hole]:
        """Ask what `validate` asks, and return what concerns this department."""
        live = [one.department for one in registry.entries(self.connection) if one.is_live]
        asked = (*CATALOGUE_CHECKS, *STATE_CHECKS)
        found = checks.run(self.connection, self.compiler.templates, live, asked)
        mine = {self.department.id, self.department.role}
        return [hole for hole in found if hole.target in mine or hole.source in mine]

    def _unlike(self, heads: Heads, left: Sequence[Difference]) -> NotAdoptable:
        """Say that it is not what a department is, and what can be done about it."""
        said = "1 difference matters" if len(left) == 1 else f"{len(left)} differences matter"
        reason = f"compared with {', '.join(heads) or 'base'}, {said}"
        if self.wish.repair:
            return NotAdoptable(self.department.id, reason, "what is not repaired is shown with what does it by hand")
        safe = all(one.answer.safe for one in plan_repairs(self.department, left))
        again = f"fedschema tenant adopt {self.department} --repair"
        return NotAdoptable(
            self.department.id, reason, again if safe else f"by hand what is not repaired, then: {again}"
        )

    def _open(self, holes: Sequence[Hole]) -> NotAdoptable:
        """Say that it would stand open."""
        said = "it would stand open in 1 place" if len(holes) == 1 else f"it would stand open in {len(holes)} places"
        return NotAdoptable(self.department.id, said, "close what is shown, then adopt it again")


def _with_what_does_not_matter(wanted: Description, differences: Sequence[Difference]) -> Description:
    """Return how it should be if what differs and does not matter may stay."""
    staying = {one.thing: one.found for one in differences if not one.matters}
    kept = {thing: definition for thing, definition in wanted.items() if thing not in staying}
    return kept | {thing: definition for thing, definition in staying.items() if definition is not None}


def _is_of_version_table(thing: Thing) -> bool:
    named = thing.parts
    return VERSION_TABLE in {named.get("table"), named.get("own") if thing.kind in _TABLES else None}


#: What a thing of the version table's name may be.
_TABLES = ("table", "view", "materialized view", "foreign table", "sequence")


def _number_on(connection: psycopg.Connection, wish: Wish) -> None:
    """Let each numbering go on behind the highest number that is taken."""
    schema = wish.department.schema
    numbered = connection.execute(
        """
        SELECT class.relname::text, field.attname::text,
               pg_get_serial_sequence(class.oid::regclass::text, field.attname)
        FROM pg_class AS class
        JOIN pg_attribute AS field ON field.attrelid = class.oid AND field.attidentity <> ''
        WHERE class.relnamespace = to_regnamespace(quote_ident(%s)) AND class.relkind = 'r'
        """,
        (schema,),
    ).fetchall()
    for table, column, sequence in numbered:
        # FORCE hides the rows from the owner.
        connection.execute("SET LOCAL ROLE federation_admin_role")
        highest = sql.SQL("SELECT max({}) FROM {}").format(sql.Identifier(column), sql.Identifier(schema, table))
        row = connection.execute(highest).fetchone()
        connection.execute("SET LOCAL ROLE federation_owner")
        if row is not None and row[0] is not None:
            behind = (
                "SELECT setval(%s::regclass, %s) FROM {} WHERE last_value < %s OR last_value = %s AND NOT is_called"
            )
            connection.execute(
                sql.SQL(behind).format(sql.SQL(str(sequence))), (sequence, row[0], row[0], row[0])
            )  # the server quoted its name
