"""Fleets of none and of one, departments that are gone, and logins that may not validate."""

from __future__ import annotations

import pytest

from fedschema import tenancy, validation
from fedschema.department import Department
from fedschema.errors import ControlPlaneMissing, PrivilegeMissing, UnknownDepartment
from tests.conftest import Database
from tests.validation.conftest import probed, told


def test_empty_fleet_has_no_hole(database: Database) -> None:
    found = probed(database)

    assert told(found) == []
    assert (found.departments, found.pairs, found.sights) == ((), 0, ())


def test_only_department_is_tried_alone(database: Database) -> None:
    database.add("hr")

    found = probed(database)

    assert told(found) == []
    assert found.pairs == 0
    with database.connect() as root:
        root.execute(
            "GRANT USAGE ON SCHEMA federation TO hr_role; GRANT SELECT ON federation.oauth_credentials TO hr_role"
        )
    assert ("probe_share", "it could read the secrets") in {(one.check, one.message) for one in probed(database).holes}


def test_dropped_department_is_left_out(database: Database) -> None:
    hr, sales = database.add("hr"), database.add("sales")
    tenancy.drop(database.conninfo, database.compiler, hr, lambda _: None)

    found = probed(database)

    assert told(found) == []
    assert found.departments == (sales,)


def test_department_whose_schema_and_role_are_gone_is_named(database: Database) -> None:
    database.add("hr")
    database.add("sales")
    with database.connect() as root:
        root.execute("DROP SCHEMA hr_tenant CASCADE; DROP ROLE hr_role")

    found = probed(database)

    assert {(hole.check, hole.target, hole.object, hole.message) for hole in found.holes} == {
        ("walls", "hr", "schema hr_tenant", "it is missing, and the registry has it"),
        ("attributes", "hr", "role hr_role", "it is missing"),
        ("probe_across", "hr", "role hr_role", 'not tried: role "hr_role" does not exist'),
    }


def test_unknown_department_is_refused(database: Database) -> None:
    database.add("hr")

    with pytest.raises(UnknownDepartment, match="unknown department ghost; the known ones are: hr"):
        validation.validate(database.conninfo, database.compiler, [Department("ghost")], by_trying=True)


def test_login_that_may_not_is_told_what_to_be(database: Database) -> None:
    database.create_login("stranger")
    conninfo = database.server.conninfo(database.name, "stranger", database.passwords["stranger"])

    with pytest.raises(PrivilegeMissing) as refused:
        validation.validate(conninfo, database.compiler, [], by_trying=True)

    assert "too few privileges for validating" in refused.value.message
    assert "GRANT federation_owner TO" in (refused.value.hint or "")


def test_database_without_a_control_plane_is_told_apart(blank_database: Database) -> None:
    with pytest.raises(ControlPlaneMissing):
        validation.validate(blank_database.conninfo, blank_database.compiler, [])
