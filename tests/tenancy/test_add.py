"""`tenant add`: a department comes whole, or not at all."""

import pytest

from fedschema.errors import DepartmentExists
from tests.conftest import Database, Run


def test_department_comes_with_its_tables_and_history(database: Database) -> None:
    database.add("hr")

    with database.connect() as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'hr_tenant'").fetchone()
        history = connection.execute(
            "SELECT count(*) FROM federation.schema_migrations WHERE department_id = 'hr' AND success"
        ).fetchone()
    assert tables == (26,)  # the 24, the archive of transcripts, and the version table
    assert history == (7,)


def test_adding_twice_is_refused_and_changes_nothing(database: Database) -> None:
    database.add("hr")
    with database.connect() as connection:
        before = connection.execute("SELECT * FROM federation.departments").fetchall()

    with pytest.raises(DepartmentExists):
        database.add("hr")

    with database.connect() as connection:
        assert connection.execute("SELECT * FROM federation.departments").fetchall() == before


def test_department_role_logs_in_with_its_password(database: Database) -> None:
    database.add("hr")

    with database.login("hr_role") as connection:
        assert connection.execute("SELECT current_user, current_schema()").fetchone() == ("hr_role", "hr_tenant")


def test_command_adds_and_says_so(fedschema: Run) -> None:
    done = fedschema("tenant", "add", "legal", "--name", "Legal Department")

    assert done.status == 0, done.stderr
    assert "department legal (Legal Department)" in done.stdout
