"""What these tests share: a database with a department of ours beside schemas that somebody made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_postgresql.executors import NoopExecutor

from fedschema import adoption
from fedschema.adoption import Adoption, Wish
from fedschema.department import Department
from fedschema.tenancy import NewDepartment
from tests.adoption.made_by_hand import drop_roles_made_by_hand, make
from tests.conftest import Database, Server
from tests.validation.conftest import fresh_database

Adopt = Callable[..., Adoption]


@pytest.fixture(scope="module")
def hall(server: Server, control_plane: NoopExecutor) -> Iterator[Database]:
    """A database with the department sales, and a schema hr_tenant that is as ours and nobody's."""
    try:
        with fresh_database(server, control_plane, "sales") as database:
            make(database, "hr")
            yield database
    finally:
        drop_roles_made_by_hand(server)


@pytest.fixture(scope="module")
def adopt(hall: Database) -> Adopt:
    """Adopt a schema; `dry_run=True` to look only."""

    def run(department_id: str, **wish: object) -> Adoption:
        new = NewDepartment(Department(department_id), "By hand")
        return adoption.adopt(hall.conninfo, hall.compiler, Wish(new, **wish))  # type: ignore[arg-type]  # as typed

    return run
