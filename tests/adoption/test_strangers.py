"""A schema from strangers brings nothing along that opens a department, and nothing of it runs while it is adopted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedschema.adoption import Adoption
from fedschema.errors import ConnectionLost, DepartmentExists, FedschemaError, WallsMissing
from tests.adoption.conftest import Adopt
from tests.adoption.made_by_hand import make
from tests.cli.typing_in import type_in
from tests.conftest import Database
from tests.tenancy.conftest import eventually, held_up
from tests.tenancy.inventory import inventory


def _do(database: Database, statements: str) -> None:
    with database.connect() as connection:
        connection.execute(statements.encode())


#: What is done around hr, what it is refused for, and what takes it back. None of it shows in the schema's own objects.
HOLES = {
    "a parent elsewhere": (
        (
            "CREATE TABLE public.parent (LIKE hr_tenant.contacts INCLUDING GENERATED); "
            "ALTER TABLE hr_tenant.contacts INHERIT public.parent"
        ),
        "whoever reads table public.parent, of another schema, reads its rows past its policies",
        "ALTER TABLE hr_tenant.contacts NO INHERIT public.parent; DROP TABLE public.parent",
    ),
    "a reference from elsewhere": (
        "CREATE TABLE public.asks (id varchar REFERENCES hr_tenant.contacts (contact_id))",
        "foreign key asks_id_fkey of table public.asks, of another schema, tells which rows it has",
        "DROP TABLE public.asks",
    ),
    "a type's owner": (
        (
            "CREATE TYPE public.version AS (version_num varchar(128)); "
            "CREATE TABLE hr_tenant.alembic_version OF public.version "
            "(version_num NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        ),
        "it is made of type public.version, whose owner can change its columns",
        "DROP TABLE hr_tenant.alembic_version; DROP TYPE public.version",
    ),
    "a view elsewhere": (
        "CREATE VIEW public.peep AS SELECT * FROM hr_tenant.contacts; GRANT SELECT ON public.peep TO sales_role",
        "it shows table contacts as postgres sees it",
        "DROP VIEW public.peep",
    ),
    "a triggered row": (
        (
            "ALTER TABLE hr_tenant.contacts ADD CONSTRAINT self FOREIGN KEY (contact_id) "
            "REFERENCES hr_tenant.contacts (contact_id); ALTER TABLE hr_tenant.contacts DISABLE TRIGGER ALL; "
            "ALTER TABLE hr_tenant.contacts ENABLE TRIGGER USER"
        ),
        "constraint self on contacts is not ours",
        "ALTER TABLE hr_tenant.contacts DROP CONSTRAINT self",
    ),
    "attributes of the role": (
        "ALTER ROLE hr_role CREATEDB BYPASSRLS",
        "it has BYPASSRLS, CREATEDB: walls do not bind it, or it can see to that",
        "ALTER ROLE hr_role NOCREATEDB NOBYPASSRLS",
    ),
    "a member of another": (
        "GRANT sales_role TO hr_role",
        "it is a member of sales_role",
        "REVOKE sales_role FROM hr_role",
    ),
    "another as a member": (
        "GRANT hr_role TO sales_role",
        "it is a member of hr_role",
        "REVOKE hr_role FROM sales_role",
    ),
    "something owned elsewhere": (
        "CREATE TABLE public.own (id int); ALTER TABLE public.own OWNER TO hr_role",
        "it belongs to hr_role",
        "DROP TABLE public.own",
    ),
    "a setting": (
        "ALTER ROLE hr_role SET role = 'sales_role'",
        "its sessions begin with role = sales_role",
        "ALTER ROLE hr_role RESET role",
    ),
}
#: What `--repair` sees to: the role.
_REPAIRED = {"attributes of the role", "a member of another", "another as a member", "a setting", "a triggered row"}


@pytest.mark.parametrize("case", HOLES)
def test_what_would_stand_open_is_refused(hall: Database, adopt: Adopt, case: str) -> None:
    done, told, undo = HOLES[case]
    _do(hall, done)
    try:
        before = inventory(hall.server, hall.name)
        found = adopt("hr")
        repaired = adopt("hr", repair=True, dry_run=True)
        after = inventory(hall.server, hall.name)
    finally:
        _do(hall, undo)

    assert found.problem is not None
    assert told in [*(hole.message for hole in found.holes), *map(str, found.differences)]
    assert (repaired.problem is None) == (case in _REPAIRED), repaired.problem
    assert after == before
    assert adopt("hr", dry_run=True).problem is None


def test_child_elsewhere_is_refused(hall: Database, adopt: Adopt) -> None:
    _do(hall, "CREATE TABLE public.child () INHERITS (hr_tenant.contacts)")
    try:
        with pytest.raises(WallsMissing, match=r"public\.child of department hr would be left open"):
            adopt("hr")
    finally:
        _do(hall, "DROP TABLE public.child")


#: Says who ran it, wherever that leads.
_EVIL = """
CREATE SCHEMA lair;
CREATE TABLE lair.loot (who text);
GRANT USAGE ON SCHEMA lair TO PUBLIC;
GRANT ALL ON lair.loot TO PUBLIC;
CREATE FUNCTION lair.take() RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO lair.loot VALUES (current_user); END $$;
CREATE FUNCTION lair.evil(anything text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM lair.take(); RETURN anything; END $$;
CREATE FUNCTION lair.evil_hook() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO lair.loot VALUES (current_user); RETURN NEW; END $$;
"""


def test_nothing_of_a_schema_runs_while_it_is_adopted(hall: Database, adopt: Adopt) -> None:
    """An index of one of our names is made anew before a column is added, which builds all of the table's indexes."""
    make(hall, "evil")
    _do(hall, _EVIL)
    _do(
        hall,
        "SET search_path = evil_tenant; INSERT INTO contacts (contact_id, notes) VALUES ('1', 'x'); "
        "DROP INDEX idx_contacts_full_name; CREATE INDEX idx_contacts_full_name ON contacts (lair.evil(notes)); "
        "CREATE INDEX another ON contacts (lair.evil(full_name)); "
        "ALTER TABLE contacts ADD CONSTRAINT mine CHECK (lair.evil(notes) IS NOT NULL); "
        "ALTER TABLE contacts ALTER COLUMN organization SET DEFAULT lair.evil('x'); "
        "DROP TRIGGER set_updated_at ON contacts; CREATE TRIGGER set_updated_at BEFORE UPDATE OR INSERT ON contacts "
        "FOR EACH ROW EXECUTE FUNCTION lair.evil_hook(); "
        "ALTER POLICY admin_bypass ON contacts USING (lair.evil(notes) IS NOT NULL); "
        "ALTER POLICY isolation ON contacts USING (lair.evil(notes) IS NOT NULL); "
        "ALTER TABLE contacts DROP COLUMN job_title CASCADE; DELETE FROM lair.loot; "
        "CREATE VIEW alembic_version AS SELECT lair.evil('tenant_0007_retention')::varchar(128) AS version_num",
    )

    refused = adopt("evil", revision="head")
    found = adopt("evil", revision="head", repair=True)

    assert refused.problem is not None
    assert found.problem is None
    with hall.connect() as connection:
        assert connection.execute("SELECT * FROM lair.loot").fetchall() == []
        assert connection.execute("SELECT notes FROM evil_tenant.contacts").fetchall() == [("x",)]
    assert type_in("tenant", "drop", "evil", "--yes", url=hall.url).status == 0
    _do(hall, "DROP SCHEMA lair CASCADE")


def test_index_that_cannot_be_taken_away_stops_the_repair_before_it_runs(hall: Database, adopt: Adopt) -> None:
    """What is in the way of a DROP keeps a strange index, and then nothing is made that would build it."""
    make(hall, "stuck")
    _do(hall, _EVIL)
    _do(
        hall,
        "SET search_path = stuck_tenant; "
        "CREATE FUNCTION mine(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'; "
        "CREATE TABLE lair.user (note text DEFAULT stuck_tenant.mine('x')); DELETE FROM lair.loot; "
        "INSERT INTO contacts (contact_id, notes) VALUES ('1', 'x'); DELETE FROM lair.loot; "
        "ALTER TABLE contacts DROP COLUMN job_title CASCADE",
    )

    found = adopt("stuck", revision="head", repair=True)

    assert found.problem is not None
    assert "function mine(text) is not ours" in [str(one) for one in found.differences]
    _do(hall, "DROP SCHEMA lair CASCADE")
    assert adopt("stuck", revision="head", repair=True).problem is None
    assert type_in("tenant", "drop", "stuck", "--yes", url=hall.url).status == 0


def _attempt(adopt: Adopt, department_id: str, barrier: threading.Barrier) -> Adoption | FedschemaError:
    barrier.wait(10)
    try:
        return adopt(department_id)
    except FedschemaError as error:
        return error


def test_of_two_at_once_one_adopts_and_the_other_says_why(hall: Database, adopt: Adopt) -> None:
    make(hall, "twice")
    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        attempts = [pool.submit(_attempt, adopt, "twice", barrier) for _ in range(2)]
        outcomes = [attempt.result(60) for attempt in attempts]

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Adoption", "DepartmentExists"]
    with pytest.raises(DepartmentExists):
        hall.add("twice")
    assert type_in("tenant", "drop", "twice", "--yes", url=hall.url).status == 0


def test_adoption_that_is_ended_in_the_middle_leaves_nothing(hall: Database, adopt: Adopt) -> None:
    """It is ended where it waits for a table: the registry row, the role and half of the tables were done by then."""
    before = inventory(hall.server, hall.name)
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE 'ALTER TABLE%'"
    )
    with hall.connect() as holder, holder.transaction(), hall.connect() as watcher, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE hr_tenant.tool_calls IN ROW EXCLUSIVE MODE")
        attempt = pool.submit(adopt, "hr")
        assert eventually(lambda: watcher.execute(waiting).rowcount == 1)
        watcher.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) AS waiting".encode())
        with pytest.raises(ConnectionLost):
            attempt.result(30)

    assert inventory(hall.server, hall.name) == before


def test_adoption_waits_for_whoever_makes_the_same_department(hall: Database, adopt: Adopt) -> None:
    with ThreadPoolExecutor(1) as pool, hall.connect() as watcher, held_up(hall, "hr"):
        attempt = pool.submit(adopt, "hr", dry_run=True)
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        assert eventually(lambda: watcher.execute(waiting).rowcount == 1)
        assert not attempt.done()
    assert attempt.result(30).problem is None
