"""`fedschema init`: made once, said to be up to date afterwards."""

from __future__ import annotations

from tests.cli.conftest import Inventory, JsonOf
from tests.conftest import Database, Run

FIRST, REVISION = "federation_0001_control_plane", "federation_0002_retention"


def test_first_time_makes_the_control_plane_and_says_what_comes_next(blank_database: Database, command: Run) -> None:
    done = command("init", url=blank_database.url)

    assert done.status == 0, done.stderr
    assert done.stdout == f"control plane made, at {REVISION}\n"
    assert done.stderr.splitlines()[-1] == "next: fedschema tenant add legal"


def test_second_time_changes_nothing_and_says_so(command: Run, everything: Inventory) -> None:
    before = everything()

    done = command("init")

    assert (done.status, done.stdout) == (0, f"control plane is up to date, at {REVISION}\n")
    assert everything() == before


def test_document_says_what_was_applied(blank_database: Database, json_of: JsonOf) -> None:
    first = json_of("init", url=blank_database.url)
    second = json_of("init", url=blank_database.url)

    assert first == {"revision": REVISION, "before": None, "applied": [FIRST, REVISION], "durable_audit": False}
    assert second == {"revision": REVISION, "before": REVISION, "applied": [], "durable_audit": False}


def test_departments_survive_it(database: Database, command: Run, everything: Inventory) -> None:
    database.add("hr")
    before = everything()

    assert command("init").status == 0

    assert everything() == before


def test_walls_of_the_database_are_put_up_again(database: Database, command: Run) -> None:
    with database.connect() as connection:
        connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {database.name} TO PUBLIC")
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")

        assert command("init").status == 0

        open_still = connection.execute(
            """
            SELECT has_database_privilege('public', current_database(), 'CONNECT')
                OR has_database_privilege('public', current_database(), 'TEMPORARY')
                OR has_schema_privilege('public', 'public', 'CREATE')
            """
        ).fetchone()
    assert open_still == (False,)
