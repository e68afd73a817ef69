"""The `alembic` command as users type it: what it means for a fleet, and what it says when it cannot be done."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from fedschema.department import Department
from fedschema.lineages import Lineage
from tests.conftest import PROJECT, Database, Finished, Run
from tests.migrations.catalogue import describe
from tests.migrations.conftest import FAILED_BY_ALEMBIC, Command, CopiedProject, Psql

CHAIN = Lineage.load(PROJECT, Department("any")).trunk_revisions
FIRST, SECOND, *_, BEFORE_LAST, LAST = CHAIN
CONTROL_PLANE = Lineage.load(PROJECT).trunk_revisions


def versions(database: Database, department: str) -> list[str]:
    with database.connect() as connection:
        rows = connection.execute(f"SELECT version_num FROM {department}_tenant.alembic_version".encode()).fetchall()
    return sorted(row[0] for row in rows)


def tables(database: Database, department: str) -> set[str]:
    with database.connect() as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (f"{department}_tenant",))
        return {row[0] for row in rows}


def history(database: Database, department: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(
            "SELECT migration_name, direction, success, error_message FROM federation.schema_migrations "
            "WHERE department_id = %s ORDER BY id",
            (department,),
        ).fetchall()


def fill(database: Database, department: str) -> None:
    """Give a department a row in a table of its last but one revision."""
    with database.connect() as connection:
        connection.execute(
            f"INSERT INTO {department}_tenant.user_preferences (user_id, preference_key, preference_value) "
            "VALUES ('u', 'k', '1')".encode()
        )


def failed(done: Finished) -> str:
    """Check that a command failed in one clear message, and return it."""
    assert done.status == FAILED_BY_ALEMBIC, done.stdout
    assert done.stdout.startswith("FAILED: ")
    assert done.stdout.count("FAILED: ") == 1
    assert "Traceback" not in done.stderr + done.stdout
    message = done.stdout.removeprefix("FAILED: ")
    assert message[0].islower() or message.startswith(("PostgreSQL", "'", "-x"))
    return message


def refused(done: Finished) -> str:
    """Check the same, and that the message says what to type next."""
    message = failed(done)
    assert "\n  hint: " in message
    return message


# ------------------------------------------------------------------------------------------------- as they are written


def test_commands_work_exactly_as_written(database: Database, alembic: Run) -> None:
    """As processes of their own, which is how they are typed."""
    for department in ("hr", "sales"):
        database.add(department)

    downgraded = alembic("-x", "tenant=hr", "downgrade", "-1")
    current = alembic("-x", "tenant=hr,sales", "current")
    script = alembic("-x", "tenant=hr", "upgrade", "head", "--sql")
    upgraded = alembic("upgrade", "head")
    control_plane = alembic("-n", "federation", "current")
    wrong = alembic("-x", "tenant=nobody", "upgrade", "head")

    assert [done.status for done in (downgraded, current, script, upgraded, control_plane)] == [0] * 5
    assert downgraded.stderr == f"hr: downgrade {LAST}\n"
    assert current.stdout == f"hr: {BEFORE_LAST}\nsales: {LAST} (head)\n"
    assert current.stderr == ""
    assert script.stdout.startswith("BEGIN")
    assert upgraded.stderr == f"hr: upgrade {LAST}\nsales: nothing to do\n"
    assert control_plane.stdout == f"federation: {CONTROL_PLANE[-1]} (head)\n"
    assert "the known ones are: hr, sales" in refused(wrong)
    assert versions(database, "hr") == [LAST]


def test_upgrade_brings_every_department_to_head(database: Database, alembic_command: Command) -> None:
    for department in ("hr", "legal", "sales"):
        database.add(department)
    alembic_command("-x", "tenant=hr", "downgrade", SECOND)
    alembic_command("-x", "tenant=sales", "downgrade", "base")

    done = alembic_command("upgrade", "head")

    assert done.status == 0
    assert [versions(database, department) for department in ("hr", "legal", "sales")] == [[LAST]] * 3


def test_named_departments_are_upgraded_alone(database: Database, alembic_command: Command) -> None:
    for department in ("hr", "legal", "sales"):
        database.add(department)
    alembic_command("downgrade", FIRST)

    assert alembic_command("-x", "tenant=hr", "upgrade", "head").status == 0
    assert alembic_command("-x", "tenant=sales", "-x", "tenant=legal", "upgrade", SECOND).status == 0

    assert versions(database, "hr") == [LAST]
    assert versions(database, "legal") == [SECOND]
    assert versions(database, "sales") == [SECOND]


#: What is typed, one after another from head, and where hr is then.
DESTINATIONS: list[tuple[str, str, str | None]] = [
    ("upgrade", "head", LAST),
    ("upgrade", FIRST, LAST),
    ("downgrade", "-1", BEFORE_LAST),
    ("upgrade", "heads", LAST),
    ("downgrade", "-3", CHAIN[-4]),
    ("upgrade", "tenant@head", LAST),
    ("downgrade", SECOND[:11], SECOND),
    ("downgrade", FIRST, FIRST),
    ("downgrade", FIRST, FIRST),
    ("upgrade", "+1", SECOND),
    ("downgrade", "tenant@base", None),
    ("upgrade", "+1", FIRST),
    ("upgrade", "+2", CHAIN[2]),
    ("downgrade", SECOND, SECOND),
    ("downgrade", "base", None),
    ("upgrade", SECOND[:11], SECOND),
    ("upgrade", f"+{len(CHAIN) - 2}", LAST),
    ("downgrade", f"-{len(CHAIN)}", None),
    ("upgrade", f"+{len(CHAIN)}", LAST),
    ("downgrade", BEFORE_LAST, BEFORE_LAST),
    ("upgrade", LAST, LAST),
]


def test_destination_means_what_alembic_users_expect(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    for command, destination, end in DESTINATIONS:
        done = alembic_command("-x", "tenant=hr", command, destination)

        assert done.status == 0, (command, destination, done.stdout)
        assert versions(database, "hr") == ([end] if end else []), (command, destination)


#: What is typed, and the part of it that the refusal names.
WITHOUT_A_MEANING = [
    ("upgrade", "nonsense"),
    ("upgrade", "tenant_"),
    ("upgrade", "tenant_000"),
    ("upgrade", "+1"),
    ("downgrade", "-99"),
    ("downgrade", "head-1"),
    ("downgrade", "head"),
    ("downgrade", f"{SECOND}+1"),
    ("upgrade", "legal@head"),
    ("upgrade", "federation@head"),
    ("upgrade", CONTROL_PLANE[0]),
    ("downgrade", CONTROL_PLANE[0]),
    ("stamp", CONTROL_PLANE[0]),
    ("stamp", "nonsense"),
]


def test_destination_that_means_nothing_is_refused_and_nothing_moves(
    database: Database, alembic_command: Command
) -> None:
    database.add("hr")
    before = history(database, "hr")

    for command, destination in WITHOUT_A_MEANING:
        message = refused(alembic_command("-x", "tenant=hr", command, destination))
        assert f"revision {destination!r} cannot be used" in message

    assert versions(database, "hr") == [LAST]
    assert history(database, "hr") == before


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp"])
def test_empty_destination_is_refused(command: str, database: Database, alembic_command: Command) -> None:
    """As a pipeline types it whose variable is not set: alembic upgrade "$REVISION"."""
    database.add("hr")

    message = refused(alembic_command("-x", "tenant=hr", command, ""))

    assert "revision '' cannot be used" in message
    assert versions(database, "hr") == [LAST]


def test_control_plane_takes_no_revision_of_the_departments(database: Database, alembic_command: Command) -> None:
    for destination in (FIRST, "tenant@head", "tenant_0001"):
        for command in ("upgrade", "downgrade", "stamp"):
            refused(alembic_command("-n", "federation", "-x", "confirm=federation", command, destination))
    refused(alembic_command("-n", "federation", "-x", "tenant=hr", "upgrade", "head"))

    assert alembic_command("-n", "federation", "current").stdout == f"federation: {CONTROL_PLANE[-1]} (head)\n"


def test_current_shows_each_department_in_the_order_asked(database: Database, alembic_command: Command) -> None:
    for department in ("hr", "legal", "sales"):
        database.add(department)
    alembic_command("-x", "tenant=legal", "downgrade", "base")

    everyone = alembic_command("current")
    named = alembic_command("-x", "tenant=sales,hr,sales", "current")

    assert everyone.stdout == f"hr: {LAST} (head)\nlegal: base\nsales: {LAST} (head)\n"
    assert named.stdout == f"sales: {LAST} (head)\nhr: {LAST} (head)\n"


def test_current_check_heads_fails_for_those_who_are_not(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    database.add("sales")

    at_head = alembic_command("current", "--check-heads")
    alembic_command("-x", "tenant=sales", "downgrade", "-1")
    behind = alembic_command("current", "--check-heads")

    assert at_head.status == 0
    assert behind.status == FAILED_BY_ALEMBIC
    assert "sales" in behind.stdout.partition("FAILED: ")[2]
    assert "hr" not in behind.stdout.partition("FAILED: ")[2]


def test_stamp_writes_the_version_and_the_history_and_nothing_else(
    database: Database, alembic_command: Command
) -> None:
    database.add("hr")
    alembic_command("-x", "tenant=hr", "downgrade", SECOND)
    before = tables(database, "hr")

    assert alembic_command("-x", "tenant=hr", "stamp", "head").status == 0
    assert versions(database, "hr") == [LAST]
    assert history(database, "hr")[-1] == (LAST, "stamp", True, None)
    assert alembic_command("-x", "tenant=hr", "stamp", "base").status == 0
    assert versions(database, "hr") == []
    assert history(database, "hr")[-1] == ("base", "stamp", True, None)
    assert alembic_command("-x", "tenant=hr", "stamp", "--purge", SECOND).status == 0
    assert versions(database, "hr") == [SECOND]
    assert tables(database, "hr") == before


def test_history_has_a_row_for_each_step_with_who_and_how_long(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    alembic_command("-x", "tenant=hr", "downgrade", "-2")
    alembic_command("-x", "tenant=hr", "upgrade", "head")

    steps = [(row[0], row[1], row[2]) for row in history(database, "hr")]
    assert steps == [
        *((revision, "upgrade", True) for revision in CHAIN),
        (LAST, "downgrade", True),
        (BEFORE_LAST, "downgrade", True),
        (BEFORE_LAST, "upgrade", True),
        (LAST, "upgrade", True),
    ]
    with database.connect() as connection:
        incomplete = connection.execute(
            "SELECT count(*) FROM federation.schema_migrations "
            "WHERE duration_seconds IS NULL OR duration_seconds < 0 OR applied_by <> session_user "
            "OR checksum !~ '^sha256:[0-9a-f]{64}$'"
        ).fetchone()
        checksums = connection.execute(
            "SELECT count(DISTINCT checksum) FROM federation.schema_migrations WHERE migration_name = %s "
            "AND direction = 'upgrade'",
            (LAST,),
        ).fetchone()
    assert incomplete == (0,)
    assert checksums == (1,)


def test_heads_and_history_show_the_whole_map_without_a_database(alembic_command: Command) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"

    heads = alembic_command("heads", url=nowhere)
    listed = alembic_command("history", url=nowhere)
    control_plane = alembic_command("-n", "federation", "history", url=nowhere)

    assert (heads.status, listed.status, control_plane.status) == (0, 0, 0)
    assert LAST in heads.stdout
    assert all(revision in listed.stdout for revision in CHAIN)
    assert all(revision in control_plane.stdout for revision in CONTROL_PLANE)
    assert "tenant_" not in control_plane.stdout


def test_fleet_without_departments_says_what_to_do(alembic_command: Command) -> None:
    done = alembic_command("upgrade", "head")

    assert done.status == 0
    assert "fedschema tenant add" in done.stderr


# ------------------------------------------------------------------------------------------------------ one that fails


def obstruct(database: Database, department: str) -> None:
    """Put a table in the way of a department's last revision, walled as the others are."""
    with database.connect() as connection:
        connection.execute(f"ALTER TABLE {department}_tenant.contacts RENAME TO conversation_history_archive".encode())


def test_upgrade_stops_at_the_first_failure_and_keeps_those_before(
    database: Database, alembic_command: Command
) -> None:
    for department in ("hr", "legal", "sales"):
        database.add(department)
    alembic_command("downgrade", "-1")
    obstruct(database, "legal")
    before = tables(database, "legal")

    message = failed(alembic_command("upgrade", "head"))

    assert "department legal" in message
    assert LAST in message
    assert "conversation_history_archive" in message
    assert "already exists" in message
    assert versions(database, "hr") == [LAST]
    assert versions(database, "legal") == [BEFORE_LAST]
    assert versions(database, "sales") == [BEFORE_LAST]
    assert tables(database, "legal") == before


def test_failure_is_in_the_history_though_its_transaction_is_gone(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    alembic_command("-x", "tenant=hr", "downgrade", SECOND)
    with database.connect() as connection:
        connection.execute("ALTER TABLE hr_tenant.tool_calls RENAME TO llm_usage_logs")

    alembic_command("-x", "tenant=hr", "upgrade", "head")

    name, direction, success, reason = history(database, "hr")[-1]
    assert (name, direction, success) == (CHAIN[3], "upgrade", False)
    assert "llm_usage_logs" in reason
    # The revision before the failed one was rolled back with it, and left no row that says otherwise.
    assert versions(database, "hr") == [SECOND]
    assert [row[0] for row in history(database, "hr")].count(CHAIN[2]) == 2  # made by add, undone by the downgrade


def test_same_failure_on_both_roads_leaves_the_same_row(
    database: Database, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    alembic_command("-x", "tenant=hr", "downgrade", "-1")
    obstruct(database, "hr")

    alembic_command("-x", "tenant=hr", "upgrade", "head")
    by_alembic = history(database, "hr")[-1]
    done = fedschema_command("upgrade", "hr")
    by_fedschema = history(database, "hr")[-1]

    assert done.status == 1
    assert len(history(database, "hr")) == len(CHAIN) + 3
    assert by_alembic[:3] == by_fedschema[:3] == (LAST, "upgrade", False)
    for reason in (by_alembic[3], by_fedschema[3]):
        assert LAST in reason
        assert 'relation "conversation_history_archive" already exists' in reason
        assert "CREATE TABLE hr_tenant.conversation_history_archive" in reason


def test_refusal_is_no_failure_and_leaves_no_row(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    fill(database, "hr")
    before = history(database, "hr")

    refused(alembic_command("-x", "tenant=hr", "downgrade", "-2"))
    refused(alembic_command("-x", "tenant=hr", "upgrade", "nonsense"))

    assert history(database, "hr") == before


# ------------------------------------------------------------------------------------------------------- what is typed


def test_unknown_department_is_an_error_that_lists_the_known_ones(database: Database, alembic_command: Command) -> None:
    for department in ("hr", "legal"):
        database.add(department)

    for command in (("upgrade", "head"), ("downgrade", "-1"), ("current",), ("stamp", "head")):
        message = refused(alembic_command("-x", "tenant=hr,nobody,nothing", *command))
        assert "unknown departments nobody, nothing" in message
        assert "the known ones are: hr, legal" in message
    assert versions(database, "hr") == [LAST]


def test_dropped_department_is_unknown_and_its_name_is_passed_over(
    database: Database, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    database.add("legal")
    assert fedschema_command("tenant", "drop", "legal", "--yes").status == 0

    assert alembic_command("current").stdout == f"hr: {LAST} (head)\n"
    assert alembic_command("upgrade", "head").status == 0
    assert "unknown department legal" in refused(alembic_command("-x", "tenant=legal", "upgrade", "head"))


def test_misspelt_x_never_means_everybody(database: Database, alembic_command: Command) -> None:
    database.add("hr")

    for argument in ("tenat=hr", "tenant", "tenant=", "tenant=,", "TENANT=hr", "hr", "department=hr", "confirm=", ""):
        message = refused(alembic_command("-x", argument, "downgrade", "base"))
        assert f"-x {argument} is not understood" in message
    assert versions(database, "hr") == [LAST]


def test_wrong_id_is_refused_with_its_reason(database: Database, alembic_command: Command) -> None:
    database.add("hr")

    for wrong in ("HR", "hr-1", "pg_x", "federation", "federation_admin", "hr;drop", "hr_tenant;", "é"):
        for command in (("upgrade", "head"), ("upgrade", "head", "--sql")):
            message = refused(alembic_command("-x", f"tenant={wrong}", *command))
            assert f"{wrong!r} cannot be a department id" in message


def test_confirm_of_somebody_else_confirms_nothing(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    database.add("sales")
    fill(database, "hr")

    message = refused(alembic_command("-x", "tenant=hr", "-x", "confirm=sales", "downgrade", "-2"))

    assert "user_preferences (1 row)" in message
    assert versions(database, "hr") == [LAST]


@pytest.mark.parametrize("words", [("check",), ("revision", "--autogenerate", "-m", "x")])
def test_command_without_a_meaning_for_a_fleet_says_so(
    words: tuple[str, ...], copied_project: CopiedProject, alembic_command: Command
) -> None:
    message = refused(alembic_command(*words, cwd=copied_project.directory))

    assert "no meaning for a fleet" in message


def test_script_needs_a_department_to_be_named(alembic_command: Command) -> None:
    message = refused(alembic_command("upgrade", "head", "--sql"))

    assert "alembic -x tenant=hr upgrade head --sql" in message


# -------------------------------------------------------------------------------------------------- rows that would go


def test_table_with_rows_is_dropped_only_when_that_is_confirmed(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    fill(database, "hr")

    message = refused(alembic_command("-x", "tenant=hr", "downgrade", "-2"))

    assert "department hr: this would lose table user_preferences (1 row); nothing was changed" in message
    assert "-x confirm=hr" in message
    assert versions(database, "hr") == [LAST]
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM hr_tenant.user_preferences").fetchone() == (1,)

    assert alembic_command("-x", "tenant=hr", "-x", "confirm=hr", "downgrade", "-2").status == 0
    assert versions(database, "hr") == [CHAIN[-3]]
    assert "user_preferences" not in tables(database, "hr")


def test_every_table_with_rows_is_named(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    fill(database, "hr")
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO hr_tenant.feature_flags (feature_name) SELECT n::text FROM generate_series(1, 3) AS n"
        )

    message = refused(alembic_command("-x", "tenant=hr", "downgrade", "base"))

    assert "table feature_flags (3 rows), table user_preferences (1 row)" in message


def test_empty_tables_go_without_a_question(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    fill(database, "hr")

    assert alembic_command("-x", "tenant=hr", "downgrade", "-1").status == 0


def test_fleet_stops_at_the_department_that_would_lose_rows(database: Database, alembic_command: Command) -> None:
    for department in ("hr", "legal", "sales"):
        database.add(department)
    fill(database, "legal")

    refused(alembic_command("downgrade", "-2"))

    assert versions(database, "hr") == [CHAIN[-3]]
    assert versions(database, "legal") == [LAST]
    assert versions(database, "sales") == [LAST]


@pytest.fixture
def with_column(copied_project: CopiedProject) -> CopiedProject:
    """A project with a revision that adds a column to contacts, and whose downgrade drops it."""
    copied_project.add_template(
        "tenant/test/add_column", "ALTER TABLE {{ department.schema | ident }}.contacts ADD COLUMN nickname text;\n"
    )
    copied_project.add_template(
        "tenant/test/drop_column", "ALTER TABLE {{ department.schema | ident }}.contacts DROP COLUMN nickname;\n"
    )
    copied_project.add_revision(
        "tenant",
        "tenant_9001_nickname",
        'op.execute_template("tenant/test/add_column")',
        'op.execute_template("tenant/test/drop_column")',
        after=LAST,
    )
    return copied_project


def test_column_with_values_is_dropped_only_when_that_is_confirmed(
    database: Database, alembic_command: Command, with_column: CopiedProject
) -> None:
    database.add("hr")
    here = with_column.directory
    assert alembic_command("upgrade", "head", cwd=here).status == 0
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.contacts (contact_id) VALUES ('without')")
        assert alembic_command("downgrade", "-1", cwd=here).status == 0
        assert alembic_command("upgrade", "+1", cwd=here).status == 0
        connection.execute("INSERT INTO hr_tenant.contacts (contact_id, nickname) VALUES ('with', 'x')")

        message = refused(alembic_command("downgrade", "-1", cwd=here))

        assert "column contacts.nickname (1 row)" in message
        kept = connection.execute("SELECT nickname FROM hr_tenant.contacts WHERE contact_id = 'with'").fetchall()
        assert kept == [("x",)]
        assert alembic_command("-x", "confirm=hr", "downgrade", "-1", cwd=here).status == 0
        assert connection.execute("SELECT count(*) FROM hr_tenant.contacts").fetchone() == (2,)


def test_upgrade_that_drops_rows_is_refused_too(
    database: Database, alembic_command: Command, copied_project: CopiedProject
) -> None:
    database.add("hr")
    fill(database, "hr")
    copied_project.add_template("tenant/test/drop", "DROP TABLE {{ department.schema | ident }}.user_preferences;\n")
    copied_project.add_revision("tenant", "tenant_9001_drop", 'op.execute_template("tenant/test/drop")', after=LAST)

    refused(alembic_command("upgrade", "head", cwd=copied_project.directory))

    assert versions(database, "hr") == [LAST]
    assert "user_preferences" in tables(database, "hr")


# ------------------------------------------------------------------------------------------------- servers in disorder


def unreachable(database: Database) -> str:
    return "postgresql://postgres:secret-word@127.0.0.1:1/fedschema"


def wrong_password(database: Database) -> str:
    return re.sub(r":[^:@]+@", ":secret-word@", database.url)


def no_such_database(database: Database) -> str:
    return database.url + "_absent"


def no_control_plane(database: Database) -> str:
    return re.sub(r"/[^/]+$", "/postgres", database.url)


def unreadable_url(database: Database) -> str:
    return "postgresql://user:secret-word@host:5432/x?nonsense=1"


def control_plane_behind(database: Database) -> str:
    with database.connect() as connection:
        connection.execute("DELETE FROM federation.alembic_version")
    return database.url


def control_plane_ahead(database: Database) -> str:
    with database.connect() as connection:
        connection.execute("UPDATE federation.alembic_version SET version_num = 'federation_9999_future'")
    return database.url


def department_ahead(database: Database) -> str:
    with database.connect() as connection:
        connection.execute("UPDATE hr_tenant.alembic_version SET version_num = 'tenant_9999_future'")
    return database.url


def department_at_a_foreign_revision(database: Database) -> str:
    with database.connect() as connection:
        connection.execute("UPDATE hr_tenant.alembic_version SET version_num = %s", (CONTROL_PLANE[0],))
    return database.url


def department_without_version_table(database: Database) -> str:
    with database.connect() as connection:
        connection.execute("DROP TABLE hr_tenant.alembic_version")
    return database.url


def department_without_schema(database: Database) -> str:
    with database.connect() as connection:
        connection.execute("DROP SCHEMA hr_tenant CASCADE")
    return database.url


def read_only(database: Database) -> str:
    return database.url + "?options=-c%20default_transaction_read_only%3Don"


def too_few_privileges(database: Database) -> str:
    database.create_login("fedschema_test_visitor")
    return (
        f"postgresql://fedschema_test_visitor:{database.passwords['fedschema_test_visitor']}"
        f"@{database.server.host}:{database.server.port}/{database.name}"
    )


Disorder = Callable[[Database], str]

#: Each kind of disorder, what a user is told, and what to type next.
DISORDERS: list[tuple[Disorder, str, str]] = [
    (unreachable, "cannot reach PostgreSQL at 127.0.0.1:1/fedschema", "check host and port"),
    (wrong_password, "refused the login", "check user and password"),
    (no_such_database, "does not exist", "createdb"),
    (no_control_plane, "no control plane", "fedschema init"),
    (
        unreadable_url,
        "the database URL from FEDSCHEMA_DATABASE_URL cannot be read",
        "postgresql://user@host:5432/database",
    ),
    (control_plane_behind, f"the control plane is at base and this fedschema needs {CONTROL_PLANE[-1]}", "init"),
    (control_plane_ahead, "the control plane is at federation_9999_future", "upgrade fedschema"),
    (department_ahead, "tenant_9999_future", "fedschema"),
    (department_at_a_foreign_revision, CONTROL_PLANE[0], "fedschema"),
    (
        department_without_version_table,
        "department hr: schema hr_tenant has no version table that can be read",
        "tenant show hr",
    ),
    (
        department_without_schema,
        "department hr: schema hr_tenant has no version table that can be read",
        "tenant show hr",
    ),
    (read_only, "read-only", "target_session_attrs"),
    (too_few_privileges, "too few privileges", "federation_owner"),
]


@pytest.mark.parametrize(("disorder", "message", "hint"), DISORDERS)
def test_disorder_is_one_clear_message_on_either_road(
    disorder: Disorder,
    message: str,
    hint: str,
    database: Database,
    alembic_command: Command,
    fedschema_command: Command,
) -> None:
    database.add("hr")
    url = disorder(database)

    by_alembic = refused(alembic_command("-x", "tenant=hr", "downgrade", "-1", url=url))
    by_fedschema = fedschema_command("downgrade", "hr", "--to", "-1", url=url)

    assert message in by_alembic
    assert hint in by_alembic.partition("hint: ")[2]
    assert by_fedschema.status in {1, 2}
    assert by_fedschema.stdout == ""
    assert message in by_fedschema.stderr
    assert hint in by_fedschema.stderr.partition("hint: ")[2]
    assert "secret-word" not in by_alembic + by_fedschema.stderr


@pytest.mark.parametrize("disorder", [unreachable, no_control_plane])
def test_disorder_shows_no_traceback_in_a_process_of_its_own(
    disorder: Disorder, database: Database, alembic: Run
) -> None:
    database.add("hr")

    done = alembic("upgrade", "head", url=disorder(database))

    refused(done)
    assert done.stderr == ""


def test_control_plane_is_made_and_mended_by_alembic_too(blank_database: Database, alembic_command: Command) -> None:
    url = blank_database.url

    missing = alembic_command("-n", "federation", "current", url=url)
    refused(alembic_command("-n", "federation", "downgrade", "base", url=url))
    made = alembic_command("-n", "federation", "upgrade", "head", url=url)
    again = alembic_command("-n", "federation", "upgrade", "head", url=url)
    at_head = alembic_command("-n", "federation", "current", "--check-heads", url=url)
    script = alembic_command("-n", "federation", "upgrade", "head", "--sql", url=url)

    assert missing.stdout == "federation: base\n"
    assert [done.status for done in (made, again, at_head, script)] == [0] * 4
    assert "nothing to do" in again.stderr
    assert at_head.stdout == f"federation: {CONTROL_PLANE[-1]} (head)\n"


def test_control_plane_script_through_psql_equals_init(
    blank_database: Database, database: Database, alembic_command: Command, psql: Psql
) -> None:
    script = alembic_command("-n", "federation", "upgrade", "head", "--sql")
    applied = psql(script.stdout, blank_database.conninfo)

    assert (applied.status, applied.stdout) == (0, "")
    with database.connect() as by_init, blank_database.connect() as by_script:
        assert describe(by_script, "federation") == describe(by_init, "federation")
        assert by_script.execute("SELECT version_num FROM federation.alembic_version").fetchall() == [
            (CONTROL_PLANE[-1],)
        ]
