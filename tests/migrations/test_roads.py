"""Whatever road a department takes to head, it arrives at the same place.

The roads: `tenant add`, `fedschema upgrade`, `alembic upgrade`, `alembic upgrade --sql` through psql, and the files of
`tenant sql` through psql. Each department is compared with one that `tenant add` made in the same database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedschema.department import Department
from fedschema.lineages import Lineage
from tests.conftest import PROJECT, Database
from tests.migrations.catalogue import Catalogue, describe_department, names, with_slots
from tests.migrations.conftest import Command, Psql

FINANCE = Department("finance")
OTHER = Department("other")
CHAIN = Lineage.load(PROJECT, OTHER).trunk_revisions

Travel = Callable[[], None]


@pytest.fixture
def from_base(database: Database, fedschema_command: Command) -> None:
    """Bring the other department to base, where the roads of an upgrade begin."""
    database.add("other")
    done = fedschema_command("downgrade", "other", "--to", "base")
    assert done.status == 0, done.stderr


@pytest.fixture
def by_fedschema_upgrade(from_base: None, fedschema_command: Command) -> Travel:
    def travel() -> None:
        done = fedschema_command("upgrade", "other")
        assert done.status == 0, done.stderr

    return travel


@pytest.fixture
def by_fedschema_steps(from_base: None, fedschema_command: Command) -> Travel:
    def travel() -> None:
        for revision in CHAIN:
            done = fedschema_command("upgrade", "other", "--to", revision)
            assert done.status == 0, done.stderr

    return travel


@pytest.fixture
def by_alembic_upgrade(from_base: None, alembic_command: Command) -> Travel:
    def travel() -> None:
        done = alembic_command("-x", "tenant=other", "upgrade", "head")
        assert done.status == 0, done.stdout

    return travel


@pytest.fixture
def by_alembic_script(alembic_command: Command, psql: Psql) -> Travel:
    def travel() -> None:
        written = alembic_command("-x", "tenant=other", "upgrade", "head", "--sql", url="postgresql://nobody@0:1/none")
        assert (written.status, written.stderr) == (0, "")
        applied = psql(written.stdout)
        assert (applied.status, applied.stdout, applied.stderr) == (0, "", "")

    return travel


@pytest.fixture
def by_alembic_script_in_two(alembic_command: Command, psql: Psql) -> Travel:
    """To a revision in the middle, and from there on."""

    def travel() -> None:
        for span in (CHAIN[2], f"{CHAIN[2]}:head"):
            written = alembic_command("-x", "tenant=other", "upgrade", span, "--sql")
            applied = psql(written.stdout)
            assert (applied.status, applied.stdout, applied.stderr) == (0, "", "")

    return travel


def _generated(fedschema_command: Command, directory: Path, *options: str) -> dict[str, str]:
    """Write the files of `tenant sql`, without a database."""
    words = ("tenant", "sql", "other", "--output-dir", str(directory), *options)
    done = fedschema_command(*words, url="postgresql://nobody@0:1/none")
    assert (done.status, done.stderr) == (0, "")
    return {file.name: file.read_text(encoding="utf-8") for file in directory.iterdir()}


@pytest.fixture
def by_generated_schema(fedschema_command: Command, psql: Psql, tmp_path: Path) -> Travel:
    def travel() -> None:
        files = _generated(fedschema_command, tmp_path / "generated")
        applied = psql(files["schema_other_tenant.sql"])
        assert (applied.status, applied.stdout, applied.stderr) == (0, "", "")

    return travel


@pytest.fixture
def by_generated_schema_and_policies(fedschema_command: Command, psql: Psql, tmp_path: Path) -> Travel:
    """The policies twice, since they can be applied again over what is there."""

    def travel() -> None:
        files = _generated(fedschema_command, tmp_path / "generated")
        assert set(files) == {"schema_other_tenant.sql", "rls_policies_other.sql"}
        for name in ("schema_other_tenant.sql", "rls_policies_other.sql", "rls_policies_other.sql"):
            applied = psql(files[name])
            assert (applied.status, applied.stdout, applied.stderr) == (0, "", "")

    return travel


@pytest.fixture
def by_dry_run(fedschema_command: Command, psql: Psql) -> Travel:
    def travel() -> None:
        printed = fedschema_command("tenant", "add", "other", "--dry-run")
        applied = psql(printed.stdout)
        assert (applied.status, applied.stdout, applied.stderr) == (0, "", "")

    return travel


@pytest.fixture
def by_tenant_add(database: Database) -> Travel:
    def travel() -> None:
        database.add("other")

    return travel


ROADS = [
    "by_tenant_add",
    "by_dry_run",
    "by_fedschema_upgrade",
    "by_fedschema_steps",
    "by_alembic_upgrade",
    "by_alembic_script",
    "by_alembic_script_in_two",
    "by_generated_schema",
    "by_generated_schema_and_policies",
]


@pytest.fixture(params=ROADS)
def travel(request: pytest.FixtureRequest) -> Travel:
    """Take the other department to head by one road."""
    chosen: Travel = request.getfixturevalue(request.param)
    return chosen


def arrived(database: Database, department: Department) -> dict[str, Any]:
    """Return everything that a road leaves behind, with slots."""
    with database.connect() as connection:
        catalogue = describe_department(connection, department)
        registry = connection.execute(
            """
            SELECT department_id, department_name, status, tenant_schema, admin_email, config, enabled_tools,
                   railway_project_id, railway_deployment_url, n8n_workflow_ids, deprovisioned_at, id IS NOT NULL
            FROM federation.departments WHERE department_id = %s
            """,
            (department.id,),
        ).fetchall()
        versions = connection.execute(f"SELECT * FROM {department.schema}.alembic_version".encode()).fetchall()
        history = connection.execute(
            """
            SELECT * FROM (
                SELECT migration_name, direction, success, error_message, checksum, applied_by, applied_at
                FROM federation.schema_migrations WHERE department_id = %s ORDER BY id DESC LIMIT %s
            ) AS newest ORDER BY applied_at
            """,
            (department.id, len(CHAIN)),
        ).fetchall()
    return {
        "catalogue": catalogue,
        "registry": [with_slots(row, Department(text)) for row in registry for text in [department.id]],
        "versions": versions,
        "history": [row[:-1] for row in history],
    }


def test_every_road_arrives_at_the_same_place(travel: Travel, database: Database) -> None:
    database.add("finance", "{name}")
    expected = arrived(database, FINANCE)

    travel()

    reached = arrived(database, OTHER)
    name = reached["registry"][0][1]
    assert name == "Other"
    expected["registry"] = [(row[0], name, *row[2:]) for row in expected["registry"]]
    assert reached == expected


def test_comparison_would_see_a_difference(database: Database) -> None:
    """The description is not blind: of each kind of change it sees exactly the objects that changed."""
    database.add("finance")
    before = arrived(database, FINANCE)["catalogue"]
    changes = {
        "ALTER TABLE finance_tenant.contacts ALTER COLUMN notes SET DEFAULT ''": {"column contacts.notes"},
        "ALTER TABLE finance_tenant.contacts NO FORCE ROW LEVEL SECURITY": {"relation contacts"},
        "GRANT TRUNCATE ON finance_tenant.contacts TO finance_role": {"relation contacts"},
        "GRANT SELECT (notes) ON finance_tenant.contacts TO PUBLIC": {"column contacts.notes"},
        "ALTER POLICY isolation ON finance_tenant.contacts TO PUBLIC": {"policy isolation on contacts"},
        "ALTER TABLE finance_tenant.contacts DISABLE TRIGGER set_updated_at": {"trigger set_updated_at on contacts"},
        "ALTER FUNCTION finance_tenant.set_updated_at() RESET search_path": {"function set_updated_at()"},
        "REVOKE EXECUTE ON FUNCTION finance_tenant.set_updated_at() FROM federation_owner": {
            "function set_updated_at()"
        },
        "ALTER SEQUENCE finance_tenant.drive_access_log_id_seq INCREMENT 2": {"sequence drive_access_log_id_seq"},
        "COMMENT ON TABLE finance_tenant.contacts IS 'x'": {"relation contacts"},
        "ALTER SCHEMA finance_tenant OWNER TO federation_admin_role": {"schema {schema}"},
        "ALTER ROLE finance_role CREATEDB": {"role {role}"},
        "GRANT cross_dept_query_role TO finance_role": {"role {role}"},
        "ALTER INDEX finance_tenant.idx_contacts_full_name SET (fillfactor = 50)": {
            "index idx_contacts_full_name on contacts"
        },
        "CREATE TYPE finance_tenant.mood AS ENUM ('good')": {"object type {schema}.mood"},
        "ALTER DEFAULT PRIVILEGES IN SCHEMA finance_tenant GRANT SELECT ON TABLES TO PUBLIC": None,
    }
    for change, seen in changes.items():
        with database.connect() as connection, connection.transaction(force_rollback=True):
            connection.execute(change.encode())
            after = describe_department(connection, FINANCE)
            different = {key for key in {*before, *after} if before.get(key) != after.get(key)}
            assert different >= seen if seen else different, change
            assert len(different) <= 2, change


def test_operator_who_is_no_superuser_applies_the_script_to_the_same_end(
    database: Database, fedschema_command: Command, psql: Psql, tmp_path: Path
) -> None:
    database.add("finance", "{name}")
    operator = "fedschema_test_operator"
    database.create_login(operator, "federation_owner")
    script = _generated(fedschema_command, tmp_path / "generated")["schema_other_tenant.sql"]

    applied = psql(script, database.server.conninfo(database.name, operator, database.passwords[operator]))

    assert (applied.status, applied.stderr) == (0, "")
    assert arrived(database, OTHER)["catalogue"] == arrived(database, FINANCE)["catalogue"]
    assert {row[-1] for row in arrived(database, OTHER)["history"]} == {operator}


def test_id_that_is_a_word_of_sql_makes_the_same_department(database: Database, alembic_command: Command) -> None:
    words = ("finance", "null", "select")
    for word in words:
        database.add(word)
    assert alembic_command("-x", "tenant=null", "downgrade", "base").status == 0
    assert alembic_command("-x", "tenant=null", "upgrade", "head").status == 0

    expected, *others = (arrived(database, Department(word))["catalogue"] for word in words)

    assert [catalogue == expected for catalogue in others] == [True, True]


def everything(database: Database) -> list[Any]:
    """Return what is there of all departments, to see that nothing changed."""
    with database.connect() as connection:
        registry = connection.execute("SELECT * FROM federation.departments ORDER BY 1").fetchall()
        history = connection.execute("SELECT * FROM federation.schema_migrations ORDER BY 1").fetchall()
        roles = connection.execute("SELECT rolname FROM pg_roles ORDER BY 1").fetchall()
        schemas = connection.execute("SELECT nspname FROM pg_namespace ORDER BY 1").fetchall()
        catalogues = [
            describe_department(connection, Department(row[0]))
            for row in connection.execute("SELECT department_id FROM federation.departments ORDER BY 1").fetchall()
        ]
    return [registry, history, roles, schemas, catalogues]


def test_script_of_a_department_that_exists_is_refused_and_changes_nothing(
    database: Database, fedschema_command: Command, psql: Psql, tmp_path: Path
) -> None:
    database.add("other")
    script = _generated(fedschema_command, tmp_path / "generated")["schema_other_tenant.sql"]
    before = everything(database)

    applied = psql(script)
    carried_on = psql("\\set ON_ERROR_STOP off\n" + script)

    assert applied.status == 3
    assert "department other exists already" in applied.stderr
    assert carried_on.status == 0
    assert everything(database) == before


@pytest.mark.parametrize("span", [f"{CHAIN[1]}:{CHAIN[3]}", f"{CHAIN[0]}:head", f"base:{CHAIN[0]}"])
def test_script_that_starts_elsewhere_than_the_department_is_refused(
    span: str, database: Database, alembic_command: Command, psql: Psql
) -> None:
    database.add("other")
    before = everything(database)

    written = alembic_command("-x", "tenant=other", "upgrade", span, "--sql")
    applied = psql(written.stdout)

    assert written.status == 0
    assert applied.status == 3
    assert "department other" in applied.stderr
    assert everything(database) == before


def test_script_of_a_downgrade_goes_down(database: Database, alembic_command: Command, psql: Psql) -> None:
    database.add("other")

    written = alembic_command("-x", "tenant=other", "downgrade", f"{CHAIN[-1]}:{CHAIN[1]}", "--sql")
    applied = psql(written.stdout)

    assert (applied.status, applied.stderr) == (0, "")
    assert arrived(database, OTHER)["versions"] == [(CHAIN[1],)]
    expected = arrived(database, OTHER)["catalogue"]
    assert alembic_command("-x", "tenant=other", "upgrade", "+1").status == 0
    assert alembic_command("-x", "tenant=other", "downgrade", "-1").status == 0
    assert arrived(database, OTHER)["catalogue"] == expected


def test_role_made_by_a_script_has_no_password(
    database: Database, fedschema_command: Command, psql: Psql, tmp_path: Path
) -> None:
    psql(_generated(fedschema_command, tmp_path / "generated")["schema_other_tenant.sql"])

    with database.connect() as connection:
        assert connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'other_role'").fetchall() == [
            (None,)
        ]


def _policies(catalogue: Catalogue) -> Catalogue:
    return {f"policy {name}": catalogue[f"policy {name}"] for name in names(catalogue, "policy")}


def test_policies_script_puts_back_what_was_changed(database: Database, fedschema_command: Command, psql: Psql) -> None:
    database.add("other")
    expected = arrived(database, OTHER)["catalogue"]
    with database.connect() as connection:
        connection.execute("DROP POLICY isolation ON other_tenant.contacts")
        connection.execute("ALTER POLICY admin_bypass ON other_tenant.contacts USING (false)")
        connection.execute("ALTER POLICY cross_dept_read ON other_tenant.email_logs TO PUBLIC")
        connection.execute("ALTER TABLE other_tenant.api_keys NO FORCE ROW LEVEL SECURITY")
        connection.execute("ALTER TABLE other_tenant.audit_trail DISABLE ROW LEVEL SECURITY")
    assert arrived(database, OTHER)["catalogue"] != expected

    printed = fedschema_command("tenant", "sql", "other", "--rls-only")
    applied = psql(printed.stdout)

    assert applied.status == 0, applied.stderr
    assert arrived(database, OTHER)["catalogue"] == expected


@pytest.mark.parametrize(
    ("policy_type", "touched"),
    [
        ("isolation", {"isolation"}),
        ("admin", {"admin_bypass"}),
        ("cross_dept", {"cross_dept_read", "reader"}),
        ("all", {"isolation", "admin_bypass", "cross_dept_read", "reader"}),
    ],
)
def test_policies_of_one_type_are_put_back_alone(
    policy_type: str, touched: set[str], database: Database, fedschema_command: Command, psql: Psql
) -> None:
    database.add("other")
    expected = _policies(arrived(database, OTHER)["catalogue"])
    with database.connect() as connection:
        for name in names(expected, "policy"):
            policy, _, table = name.partition(" on ")
            connection.execute(f"DROP POLICY {policy} ON other_tenant.{table}".encode())

    psql(fedschema_command("tenant", "sql", "other", "--rls-only", "--policy-type", policy_type).stdout)

    back = _policies(arrived(database, OTHER)["catalogue"])
    assert back == {key: value for key, value in expected.items() if key.split()[1] in touched}
    assert back


def test_scripts_name_no_other_department(database: Database, alembic_command: Command) -> None:
    """Neither one that is in the registry nor the slot that stands for all while plans are compiled."""
    database.add("finance")
    for words in (
        ("upgrade", "head", "--sql"),
        ("upgrade", f"{CHAIN[0]}:head", "--sql"),
        ("downgrade", f"{CHAIN[-1]}:base", "--sql"),
        ("stamp", "head", "--sql"),
    ):
        written = alembic_command("-x", "tenant=other", *words)
        assert written.status == 0
        assert "other_tenant" in written.stdout
        assert set(re.findall(r"\b(\w+)_tenant\b", written.stdout)) == {"other"}
        platform = {"federation_admin", "federation_reader", "cross_dept_query", "federation_department", "claim"}
        assert set(re.findall(r"\b(\w+)_role\b", written.stdout)) - platform <= {"other"}
        assert "slot" not in written.stdout
        assert "finance" not in written.stdout


def test_script_of_several_departments_makes_each(database: Database, alembic_command: Command, psql: Psql) -> None:
    written = alembic_command("-x", "tenant=finance,other", "upgrade", "head", "--sql")

    applied = psql(written.stdout)

    assert (applied.status, applied.stderr) == (0, "")
    assert arrived(database, OTHER)["catalogue"] == arrived(database, FINANCE)["catalogue"]
