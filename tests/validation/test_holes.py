"""A wall that is down is seen and named: the pair, the object and the check, and nothing else with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from fedschema.validation import validate
from tests.conftest import Database
from tests.validation import holes_of_code, holes_of_grants, holes_of_roles, holes_of_settings, holes_of_tables
from tests.validation.conftest import probed, told
from tests.validation.holes import Opening, Pair

#: What one might take for a hole.
NO_HOLES = holes_of_code.NO_HOLES
HOLES = [
    *holes_of_tables.HOLES,
    *holes_of_roles.HOLES,
    *holes_of_settings.HOLES,
    *holes_of_grants.HOLES,
    *holes_of_code.HOLES,
]


@pytest.fixture(scope="module", autouse=True)
def _others(walled: Database, root: psycopg.Connection) -> None:
    """Logins beside the departments': a gateway for hr, an administrator, a stranger, and a team that cannot log in."""
    walled.create_login("gateway", "cross_dept_query_role")
    walled.create_login("administrator", "federation_admin_role")
    walled.create_login("stranger")
    walled.create_login("team")
    root.execute("ALTER ROLE team NOLOGIN")
    for role in ("gateway", "administrator", "stranger", "team"):
        root.execute(f"COMMENT ON ROLE {role} IS 'fedschema: {role} of database fedschema_walls'")
    root.execute("INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('gateway', 'hr')")


@contextmanager
def _open(root: psycopg.Connection, hole: Opening) -> Iterator[None]:
    root.execute(hole.opens)
    try:
        yield
    finally:
        root.execute(hole.closes)


@pytest.mark.parametrize("hole", HOLES, ids=[hole.law for hole in HOLES])
def test_hole_is_named_and_nothing_else(walled: Database, root: psycopg.Connection, hole: Opening) -> None:
    if not hole.since <= root.info.server_version // 10000 < hole.before:
        _is_none_of_this_server(walled, root, hole)
        return

    # Where trying has nothing to show, two departments are enough to see that it shows nothing.
    by_trying = any(check.startswith("probe_") for check in hole.named)
    with _open(root, hole):
        found = validate(walled.conninfo, walled.compiler, [], by_trying=True, sample=None if by_trying else 2)

    named: dict[str, set[Pair]] = defaultdict(set)
    for one in found.holes:
        named[one.check].add((one.source, one.target))
    assert named == hole.named, told(found)
    first = [one for one in found.holes if one.check == next(iter(hole.named))]
    assert any(
        hole.object in one.object and hole.says in one.message and hole.mend in (one.mend or "") for one in first
    ), [(str(one), one.mend) for one in first]


def _is_none_of_this_server(walled: Database, root: psycopg.Connection, hole: Opening) -> None:
    """Another version has this hole: here the server refuses it, or nothing comes of it."""
    try:
        root.execute(hole.opens)
    except psycopg.Error:
        return
    try:
        assert told(probed(walled)) == []
    finally:
        root.execute(hole.closes)


@pytest.mark.parametrize("shared", NO_HOLES, ids=[one.law for one in NO_HOLES])
def test_what_opens_nothing_is_left_in_peace(walled: Database, root: psycopg.Connection, shared: Opening) -> None:
    if root.info.server_version // 10000 < shared.since:
        _is_none_of_this_server(walled, root, shared)
        return

    with _open(root, shared):
        found = probed(walled)

    assert told(found) == []


@pytest.mark.parametrize("login", ["stranger", "gateway"])
def test_reader_of_all_data_reads_the_control_plane_and_no_department(
    walled: Database, root: psycopg.Connection, login: str
) -> None:
    """What `memberships` says of pg_read_all_data is what PostgreSQL does."""
    with walled.login("hr_role") as hr:
        hr.execute("INSERT INTO contacts (department, contact_id, full_name) VALUES ('hr', 'c1', 'Ada')")
    root.execute(f"GRANT pg_read_all_data TO {login}")
    try:
        with walled.login(login) as connection:
            assert connection.execute("SELECT FROM hr_tenant.contacts").rowcount == 0
            assert connection.execute("SELECT FROM federation.departments").rowcount == 3
            connection.execute("SELECT FROM federation.oauth_credentials")
    finally:
        root.execute(f"REVOKE pg_read_all_data FROM {login}; DELETE FROM hr_tenant.contacts")


def test_every_wall_stands_again_after_all_that(walled: Database) -> None:
    assert told(probed(walled)) == []
