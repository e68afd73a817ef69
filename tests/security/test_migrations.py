"""A migration that would leave a table open fails inside its own transaction, whichever way it is run.

The project is copied and gets one more revision, as somebody in a hurry would write it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import pytest

from fedschema import releases
from fedschema.compiler import Compiler
from fedschema.errors import PrivilegeMissing, WallsMissing
from fedschema.releases import Direction, Outcome, Release
from fedschema.settings import Project
from tests.conftest import ROOT, Database, Run
from tests.security.conftest import compose, count, refused, value

HEAD = "tenant_0007_retention"

RAW_TABLE = 'op.execute(f"CREATE TABLE {schema}.stray (id integer)")'
HOLES = {
    "raw table": RAW_TABLE,
    "alembic's table": 'op.create_table("stray", sa.Column("id", sa.Integer), schema=schema)',
    "raw table with its column": (
        'op.execute(f"CREATE TABLE {schema}.stray (department varchar(100) NOT NULL DEFAULT %r)" % schema)'
    ),
    "walls taken down": 'op.disable_department_rls("contacts", resource="contacts")',
    "row security disabled": 'op.execute(f"ALTER TABLE {schema}.contacts DISABLE ROW LEVEL SECURITY")',
    "policy too many": 'op.execute(f"CREATE POLICY extra ON {schema}.contacts USING (true)")',
    "policy opened": 'op.execute(f"ALTER POLICY isolation ON {schema}.contacts USING (true)")',
    "check dropped": 'op.drop_constraint("contacts_department_check", "contacts", schema=schema)',
}


@dataclass(frozen=True)
class Copy:
    """A project of the test's own."""

    directory: Path

    def compiler(self) -> Compiler:
        return Compiler(Project(self.directory / "alembic.ini"))

    def add_revision(self, upgrade: str, downgrade: str = "pass", *, online: bool = False) -> None:
        """Add a revision after the last one."""
        bodies = {"upgrade": f"schema = op.get_context().version_table_schema\n{upgrade}", "downgrade": downgrade}
        functions = [f"def {name}() -> None:\n{indent(dedent(body), '    ')}\n" for name, body in bodies.items()]
        text = f'''\
            """Made in a hurry."""

            import sqlalchemy as sa
            from alembic import op

            revision = "tenant_0999_hurried"
            down_revision = "{HEAD}"
            branch_labels = None
            depends_on = None
            online = {online}
        '''
        file = self.directory / "alembic" / "versions" / "tenant" / "tenant_0999_hurried.py"
        file.write_text("\n\n".join([dedent(text), *functions]), encoding="utf-8")

    def add_template(self, name: str, text: str) -> None:
        file = self.directory / "templates" / f"{name}.sql.j2"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Copy:
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    for directory in ("alembic", "templates"):
        shutil.copytree(ROOT / directory, tmp_path / directory, ignore=shutil.ignore_patterns("__pycache__"))
    return Copy(tmp_path)


def upgrade(database: Database, project: Copy) -> list[releases.Result]:
    return list(releases.migrate(database.conninfo, project.compiler(), [], Release(Direction.UPGRADE, "head")))


def assert_untouched(database: Database) -> None:
    """Check that hr is where it was, with all its walls, and that the history says what failed."""
    with database.connect() as root:
        assert value(root, "SELECT version_num FROM hr_tenant.alembic_version") == HEAD
        assert value(root, "SELECT to_regclass('hr_tenant.stray')") is None
        root.execute("CALL federation.assert_walls('hr')")
        failed = root.execute(
            """
            SELECT migration_name, direction FROM federation.schema_migrations
            WHERE department_id = 'hr' AND NOT success
            """
        ).fetchall()
        assert failed == [("tenant_0999_hurried", "upgrade")]


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_migration_that_leaves_a_hole_fails_and_changes_nothing(database: Database, project: Copy, hole: str) -> None:
    database.add("hr")
    project.add_revision(hole)

    (result,) = upgrade(database, project)

    assert result.outcome is Outcome.FAILED
    assert isinstance(result.error, WallsMissing)
    assert_untouched(database)


def test_migration_that_needs_a_connection_is_stopped_too(database: Database, project: Copy) -> None:
    database.add("hr")
    project.add_revision(RAW_TABLE, online=True)

    (result,) = upgrade(database, project)

    assert result.outcome is Outcome.FAILED
    assert isinstance(result.error, WallsMissing)
    assert_untouched(database)


def test_migration_that_leaves_no_hole_goes_through(database: Database, project: Copy) -> None:
    """Without this, the tests above could hold because nothing goes through."""
    database.add("hr")
    project.add_revision('op.add_column("contacts", sa.Column("nickname", sa.Text), schema=schema)')

    (result,) = upgrade(database, project)

    assert result.outcome is Outcome.UPGRADED, result.error


def test_alembic_itself_is_stopped_too(database: Database, project: Copy, alembic: Run) -> None:
    database.add("hr")
    project.add_revision(RAW_TABLE)

    done = alembic("upgrade", "head", cwd=project.directory)

    assert done.status != 0
    assert "stray of department hr" in done.stdout + done.stderr
    assert_untouched(database)


def test_table_without_a_schema_goes_nowhere(database: Database, project: Copy) -> None:
    """The owner has no place to make it in but the departments' schemas, which it has to name."""
    database.add("hr")
    project.add_revision('op.execute("CREATE TABLE stray (id integer)")')

    (result,) = upgrade(database, project)

    assert isinstance(result.error, PrivilegeMissing)
    with database.connect() as root:
        assert value(root, "SELECT to_regclass('public.stray')") is None


def test_department_is_not_added_with_a_hole(database: Database, project: Copy) -> None:
    project.add_revision(RAW_TABLE)
    hurried = Database(database.server, database.name, project.compiler())

    with pytest.raises(WallsMissing):
        hurried.add("hr")

    with database.connect() as root:
        assert value(root, "SELECT count(*) FROM federation.departments") == 0
        assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname = 'hr_role'") == 0
        assert value(root, "SELECT to_regnamespace('hr_tenant')") is None


def test_table_of_a_later_migration_is_walled_like_the_first(database: Database, project: Copy) -> None:
    project.add_template(
        "tenant/legal/matters",
        """\
        CREATE TABLE {{ department.schema | ident }}.matters (
            id bigint GENERATED BY DEFAULT AS IDENTITY,
            department varchar(100) NOT NULL DEFAULT {{ department.id | literal }},
            title text,
            CONSTRAINT matters_department_check CHECK (department = {{ department.id | literal }})
        );
        """,
    )
    for department_id in ("hr", "sales"):
        database.add(department_id)
    tables = '"legal", private=("matters",), identity=("matters",)'
    project.add_revision(f"op.create_tenant_tables({tables})", f"op.drop_tenant_tables({tables})")

    results = upgrade(database, project)

    assert {result.outcome for result in results} == {Outcome.UPGRADED}
    database.create_login("gateway", "cross_dept_query_role")
    for department_id in ("hr", "sales"):
        with database.login(f"{department_id}_role") as connection:
            own = (f"{department_id}_tenant", "matters")
            foreign = ("sales_tenant" if department_id == "hr" else "hr_tenant", "matters")
            insert = "INSERT INTO {table} (title) VALUES ('x')"
            connection.execute(compose(insert, table=own))
            assert count(connection, department_id, "matters") == 1
            for statement in ("SELECT * FROM {table}", insert, "DELETE FROM {table}"):
                refused(connection, compose(statement, table=foreign))
            refused(connection, compose("TRUNCATE {table}", table=own))
            connection.execute("SET row_security = off")
            refused(connection, compose("SELECT * FROM {table}", table=own))
    with database.login("gateway") as gateway:
        refused(gateway, "SELECT * FROM hr_tenant.matters")
