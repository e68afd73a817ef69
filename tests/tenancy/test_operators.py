"""Superuser is not needed: an operator may create roles and owns the database, another is a member of the owner role.

These operators need a cluster of their own, since on the shared one a superuser has made the platform roles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.embedded.throwaway import ThrowawayServer
from tests.adoption.made_by_hand import by_hand
from tests.cli.typing_in import type_in
from tests.conftest import PROJECT, ROOT, Finished


@dataclass(frozen=True)
class Operator:
    """A login that runs fedschema."""

    server: ThrowawayServer
    login: str
    database: str

    @property
    def url(self) -> str:
        return f"postgresql://{self.login}:{self.login}@{self.server.host}:{self.server.port}/{self.database}"

    def types(self, *arguments: str, stdin: str = "") -> Finished:
        return type_in(*arguments, url=self.url, stdin=stdin, cwd=ROOT)

    def asks(self, question: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(question).fetchall()


@pytest.fixture
def founder(untouched_server: ThrowawayServer) -> Iterator[Operator]:
    """An operator who may create roles and owns a database, and is no superuser; it all goes again."""
    with psycopg.connect(untouched_server.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE founder LOGIN CREATEROLE PASSWORD 'founder'")
        connection.execute("CREATE DATABASE fleet OWNER founder")
        yield Operator(untouched_server, "founder", "fleet")
        connection.execute("DROP DATABASE fleet WITH (FORCE)")
        connection.execute("DROP DATABASE IF EXISTS second_fleet WITH (FORCE)")
        roles = connection.execute(
            r"SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$)' AND rolname <> session_user"
        ).fetchall()
        names = ", ".join(role for (role,) in roles)
        connection.execute(f"DROP OWNED BY {names} CASCADE")
        connection.execute(f"DROP ROLE {names}")


@pytest.fixture
def colleague(founder: Operator) -> Operator:
    """An operator who is a member of federation_owner and nothing else, of a fleet that the founder has made."""
    initialised = founder.types("init")
    assert initialised.status == 0, initialised.stderr
    _make_member(founder, "colleague")
    return Operator(founder.server, "colleague", founder.database)


def _make_member(founder: Operator, login: str) -> None:
    with psycopg.connect(founder.server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {login} LOGIN PASSWORD '{login}'")
    with psycopg.connect(founder.url, autocommit=True) as connection:
        connection.execute(f"GRANT CONNECT ON DATABASE {founder.database} TO {login}")
        connection.execute(f"GRANT federation_owner TO {login}")


def test_operator_without_superuser_makes_the_control_plane(founder: Operator) -> None:
    assert founder.asks("SELECT rolsuper FROM pg_roles WHERE rolname = session_user") == [(False,)]

    done = founder.types("init")

    assert done.status == 0, done.stderr
    assert done.stdout.startswith("control plane made, at ")
    assert "only a superuser can change that" in done.stderr  # large objects: what could not be closed is said
    assert founder.types("init").status == 0


def test_operator_without_superuser_goes_all_the_way(founder: Operator) -> None:
    for typed in (
        ("init",),
        ("tenant", "add", "hr"),
        ("tenant", "add", "sales"),
        ("downgrade", "hr", "--to", "base", "--yes"),
        ("upgrade",),
        ("status", "--check"),
        ("tenant", "show", "hr"),
        ("tenant", "env", "hr"),
        ("history",),
        ("tenant", "drop", "hr", "--yes"),
        ("tenant", "add", "hr"),
        ("tenant", "list"),
    ):
        done = founder.types(*typed)
        assert done.status == 0, (typed, done.stderr)
    owners = founder.asks(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'hr_tenant'::regnamespace"
    )
    assert owners == [("federation_owner",)]


def test_department_of_an_operator_without_superuser_logs_in(founder: Operator) -> None:
    founder.types("init")
    founder.types("tenant", "add", "hr", "--password-stdin", stdin="correct horse battery")

    server = founder.server
    with psycopg.connect(
        host=server.host, port=server.port, dbname="fleet", user="hr_role", password="correct horse battery"
    ) as connection:
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (0,)


def test_second_operator_adds_and_drops(colleague: Operator) -> None:
    for typed in (
        ("tenant", "add", "hr"),
        ("downgrade", "hr", "--to", "-1"),
        ("upgrade", "hr"),
        ("tenant", "show", "hr"),
        ("tenant", "drop", "hr", "--yes"),
        ("tenant", "add", "hr"),
    ):
        done = colleague.types(*typed)
        assert done.status == 0, (typed, done.stderr)


def test_operator_without_superuser_adopts_what_is_its_own_alone(founder: Operator) -> None:
    """It has made the schema, and the role; a table that a superuser made it cannot hand over."""
    assert founder.types("init").status == 0
    script = by_hand(Compiler(PROJECT), Department("hr"))
    with psycopg.connect(founder.server.url("fleet"), autocommit=True) as connection:
        connection.execute("GRANT USAGE ON SCHEMA federation TO founder")  # so that its policies can name our function
        with psycopg.connect(founder.url, autocommit=True) as maker:
            maker.execute(script.encode())
        connection.execute("REVOKE USAGE ON SCHEMA federation FROM founder")
        connection.execute("ALTER TABLE hr_tenant.contacts OWNER TO postgres")
        refused = founder.types("tenant", "adopt", "hr")
        connection.execute("ALTER TABLE hr_tenant.contacts OWNER TO founder")

    assert refused.status == 1
    assert refused.stderr.startswith(
        "error: too few privileges for adopting department hr: must be owner of table contacts"
    )
    for typed in (
        ("tenant", "adopt", "hr"),
        ("validate", "hr", "--probe"),
        ("drift", "hr"),
        ("tenant", "drop", "hr", "--yes"),
    ):
        done = founder.types(*typed)
        assert done.status == 0, (typed, done.stdout, done.stderr)


def test_history_names_the_login_and_not_the_owner_role(colleague: Operator) -> None:
    colleague.types("tenant", "add", "hr")

    shown = colleague.types("history", "hr").stdout.splitlines()

    assert len(shown) == 8
    assert all(" colleague " in line for line in shown[1:])


def test_each_operator_works_on_departments_of_the_other(founder: Operator, colleague: Operator) -> None:
    assert founder.types("tenant", "add", "hr").status == 0
    assert colleague.types("tenant", "add", "sales").status == 0

    for operator, department in ((founder, "sales"), (colleague, "hr")):
        for typed in (("downgrade", department, "--to", "-1"), ("tenant", "drop", department, "--yes")):
            done = operator.types(*typed)
            assert done.status == 0, (operator.login, typed, done.stderr)


def test_second_operator_brings_the_control_plane_up_to_date(colleague: Operator) -> None:
    done = colleague.types("init")

    assert done.status == 0, done.stderr
    assert done.stdout.startswith("control plane is up to date, at ")


def test_second_operator_makes_a_second_fleet_of_the_cluster(colleague: Operator) -> None:
    with psycopg.connect(colleague.server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE second_fleet OWNER colleague")
    second = Operator(colleague.server, "colleague", "second_fleet")

    done = second.types("init")

    assert done.status == 0, done.stderr
    assert second.types("tenant", "add", "hr").status == 0


def test_member_of_nothing_is_told_what_to_be(colleague: Operator) -> None:
    with psycopg.connect(colleague.server.url("fleet"), autocommit=True) as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
        connection.execute("GRANT CONNECT ON DATABASE fleet TO stranger")

    done = Operator(colleague.server, "stranger", "fleet").types("tenant", "add", "hr")

    assert done.status == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: too few privileges for adding department hr: ")
    assert "GRANT federation_owner TO" in hint


#: Each command that works on more than one department's schema, with what is typed in.
SHARING = (
    (("grant", "hr", "sales", "--type", "read", "--resource", "contacts"), ""),
    (("grants",), ""),
    (("revoke", "hr", "sales", "--type", "read", "--resource", "contacts"), ""),
    (("gateway", "add", "gateway_of_hr", "--department", "hr"), ""),
    (("gateway", "list"), ""),
    (("gateway", "rotate", "gateway_of_hr"), ""),
    (("gateway", "remove", "gateway_of_hr"), ""),
    (("admin", "create", "ada"), ""),
    (("admin", "list"), ""),
    (("admin", "rotate", "ada"), ""),
    (("admin", "remove", "ada"), ""),
    (("tenant", "rotate-password", "hr"), ""),
    (("audit", "--denied", "--since", "24h"), ""),
    (("secret", "set", "hr", "mail", "--key", "main", "--secret-stdin"), "not to be known"),
    (("secret", "get", "hr", "mail", "--key", "main"), ""),
    (("secret", "rotate-key"), ""),
    (("secret", "list"), ""),
    (("secret", "remove", "hr", "mail", "--key", "main", "--yes"), ""),
    (("validate", "--probe"), ""),
)


@pytest.mark.parametrize("who", ["founder", "colleague"])
def test_operator_without_superuser_shares_and_proves(
    founder: Operator, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    operator: Operator = request.getfixturevalue(who)
    monkeypatch.setenv("OAUTH_ENCRYPTION_KEY", "0123456789abcdef" * 4)
    monkeypatch.setenv("OAUTH_ENCRYPTION_KEY_NEW", "fedcba9876543210" * 4)
    for typed in (("init",), ("tenant", "add", "hr"), ("tenant", "add", "sales")):
        assert founder.types(*typed).status == 0

    for words, stdin in SHARING:
        done = operator.types(*words, stdin=stdin)
        assert done.status == 0, (words, done.stdout, done.stderr)


def test_durable_audit_asks_for_a_superuser_and_says_so(founder: Operator) -> None:
    assert founder.types("init").status == 0

    done = founder.types("init", "--durable-audit")

    assert done.status == 1
    assert "superuser" in done.stderr
