"""What bad input gets: one clear message with the next command to type, exit 1 or 2, and nothing changed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from tests.cli.conftest import Inventory, document
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Run
from tests.tenancy.inventory import inventory

SECRET = "S3cret-horse-battery"


@dataclass(frozen=True)
class Refusal:
    """How a command refused, as people and as machines are told."""

    status: int
    code: str
    message: str
    hint: str


Words = tuple[str, ...]
Refuse = Callable[..., Refusal]
RefuseEach = Callable[..., list[tuple[Words, Refusal]]]


def _refusal(run: Run, words: Words, stdin: str = "") -> Refusal:
    """Type words twice, with and without --json, and check that both tell the same in the way that is promised."""
    plain, machine = run(*words, stdin=stdin), run(*words, "--json", stdin=stdin)
    assert plain.status in {1, 2}, plain
    assert plain.stdout == ""
    lines = plain.stderr.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["error:", "hint:"], plain.stderr
    error = document(machine)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert (machine.status, machine.stderr) == (plain.status, "")
    assert lines == [f"error: {error['message']}", f"hint: {error['hint']}"]
    assert error["message"][0].islower() or not error["message"][0].isalpha() or error["message"].startswith("Postgre")
    return Refusal(plain.status, error["code"], error["message"], error["hint"])


@pytest.fixture
def refuse(database: Database, everything: Inventory) -> Refuse:
    """Type a command that has to be refused and to change nothing."""

    def run(*words: str, stdin: str = "", url: str | None = None) -> Refusal:
        before = everything()
        refusal = _refusal(
            lambda *typed, stdin: type_in(*typed, url=url or database.url, stdin=stdin, cwd=ROOT), words, stdin
        )
        assert everything() == before
        return refusal

    return run


@pytest.fixture
def refuse_each(database: Database, everything: Inventory) -> RefuseEach:
    """Type commands all of which have to be refused and to change nothing."""

    def run(commands: Sequence[Words], url: str | None = None) -> list[tuple[Words, Refusal]]:
        before = everything()
        refusals = [
            (
                words,
                _refusal(lambda *typed, stdin: type_in(*typed, url=url or database.url, stdin=stdin, cwd=ROOT), words),
            )
            for words in commands
        ]
        assert everything() == before
        return refusals

    return run


@pytest.fixture
def refuse_unasked() -> Refuse:
    """Type a command that has to be refused before any database is asked: there is none that could be changed."""

    def run(*words: str, stdin: str = "") -> Refusal:
        url = "postgresql://operator@127.0.0.1:1/none"
        return _refusal(lambda *typed, stdin: type_in(*typed, url=url, stdin=stdin, cwd=ROOT), words, stdin)

    return run


#: Every command that needs the database, with words that would do something if they could.
COMMANDS = [
    ("tenant", "add", "legal"),
    ("tenant", "list"),
    ("tenant", "show", "hr"),
    ("tenant", "env", "hr"),
    ("tenant", "drop", "hr", "--yes"),
    ("tenant", "archive", "hr", "--to", "never-made"),
    ("backup", "--all", "--to", "never-made"),
    ("upgrade",),
    ("upgrade", "hr"),
    ("downgrade", "hr", "--to", "base"),
    ("downgrade", "--all", "--to", "-1", "--yes"),
    ("status",),
    ("status", "--check"),
    ("history",),
    ("history", "hr"),
]
WITH_INIT = [("init",), *COMMANDS]

# --------------------------------------------------------------------------------------------------------------- ids

WRONG_IDS = {
    "": None,
    " ": None,
    "legal dept": "legal_dept",
    " legal": "legal",
    "legal ": "legal",
    "Legal": "legal",
    "LEGAL": "legal",
    "legal-dept": "legal_dept",
    "le'gal": "le_gal",
    'le"gal': "le_gal",
    "legal\n": "legal",
    "legal\t": "legal",
    "legal.contacts": "legal_contacts",
    "légal": "legal",
    "1legal": "d1legal",
    "_legal": "legal",
    "legal'; DROP SCHEMA federation CASCADE; --": "legal_drop_schema_federation_cascade",
    "pg": "dept_pg",
    "pg_legal": "dept_pg_legal",
    "public": "dept_public",
    "information_schema": "dept_information_schema",
    "federation": "dept_federation",
    "federation_admin": "dept_federation_admin",
    "federation_reader": "dept_federation_reader",
    "federation_owner": "dept_federation_owner",
    "federation_department": "dept_federation_department",
    "cross_dept_query": "dept_cross_dept_query",
    "tenant": "dept_tenant",
    "head": "dept_head",
    "base": "dept_base",
    "a" * 57: "a" * 56,
}


@pytest.mark.parametrize("text", WRONG_IDS)
def test_wrong_id_is_refused_with_the_reason_and_a_suggestion(refuse_unasked: Refuse, text: str) -> None:
    refusal = refuse_unasked("tenant", "add", text)

    assert (refusal.status, refusal.code) == (2, "invalid_department_id")
    assert refusal.message.startswith(f"{text!r} cannot be a department id: ")
    suggestion = WRONG_IDS[text]
    assert refusal.hint == (f"try: {suggestion}" if suggestion else "an id looks like: legal, human_resources, sales2")


@pytest.mark.parametrize("text", [text for text in WRONG_IDS if text.strip()])
def test_suggested_id_would_do(text: str) -> None:
    assert type_in("tenant", "sql", WRONG_IDS[text] or "", cwd=ROOT).status == 0


@pytest.mark.parametrize("text", ["аdmin", "ѕаlеѕ", "lеgal"])
def test_look_alike_of_another_alphabet_is_refused_and_no_letter_of_it_is_dropped(
    refuse_unasked: Refuse, text: str
) -> None:
    assert not text.isascii()

    refusal = refuse_unasked("tenant", "add", text)

    assert (refusal.status, refusal.code) == (2, "invalid_department_id")
    assert refusal.hint == "an id looks like: legal, human_resources, sales2"


@pytest.mark.parametrize(
    "words",
    [
        ("tenant", "show"),
        ("tenant", "sql"),
        ("tenant", "env"),
        ("tenant", "drop", "--yes"),
        ("upgrade",),
        ("status",),
        ("history",),
        ("downgrade", "--to", "-1"),
    ],
    ids=" ".join,
)
def test_wrong_id_is_refused_by_every_command(refuse_unasked: Refuse, words: tuple[str, ...]) -> None:
    assert refuse_unasked(*words, "Legal").code == "invalid_department_id"


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--name", "", "invalid_department_name"),
        ("--name", "  ", "invalid_department_name"),
        ("--name", "x" * 256, "invalid_department_name"),
        ("--name", "Legal\nDepartment", "invalid_department_name"),
        ("--name", "Legal\x1b[31m", "invalid_department_name"),
        ("--name", "Legal\u2028Department", "invalid_department_name"),
        ("--name", "Legal\u202eDepartment", "invalid_department_name"),
        ("--admin-email", "", "invalid_email"),
        ("--admin-email", "nobody", "invalid_email"),
        ("--admin-email", "a b@example.com", "invalid_email"),
        ("--admin-email", "a@example.com\n", "invalid_email"),
        ("--admin-email", f"{'x' * 255}@example.com", "invalid_email"),
    ],
)
def test_wrong_name_or_address_is_refused(refuse_unasked: Refuse, option: str, value: str, code: str) -> None:
    refusal = refuse_unasked("tenant", "add", "legal", option, value)

    assert (refusal.status, refusal.code) == (2, code)


# --------------------------------------------------------------------------------------------------------- the server


def test_unreachable_server(refuse_each: RefuseEach, database: Database) -> None:
    database.add("hr")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        for words, refusal in refuse_each(WITH_INIT, f"postgresql://operator:{SECRET}@127.0.0.1:{port}/fleet"):
            assert (refusal.status, refusal.code) == (1, "server_unreachable"), words
            assert f"127.0.0.1:{port}/fleet" in refusal.message
            assert SECRET not in refusal.message


def test_unreachable_server_is_told_with_its_reason(refuse: Refuse) -> None:
    refusal = refuse("tenant", "list", url="postgresql://operator@127.0.0.1:1/fleet")

    assert "refused" in refusal.message


def test_unknown_host(refuse: Refuse) -> None:
    refusal = refuse("tenant", "list", url=f"postgresql://operator:{SECRET}@nosuch.invalid/fleet")

    assert (refusal.status, refusal.code) == (1, "server_unreachable")
    assert "nosuch.invalid" in refusal.message


def test_server_that_does_not_answer_is_given_up(command: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        done = command("tenant", "list", url=f"postgresql://operator@127.0.0.1:{port}/fleet?connect_timeout=2")

    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: cannot reach PostgreSQL at 127.0.0.1:{port}/fleet: ")
    assert "timeout" in done.stderr


def test_wrong_password(refuse: Refuse, database: Database) -> None:
    refusal = refuse("tenant", "add", "hr", url=database.url.replace(database.server.password, SECRET))

    assert (refusal.status, refusal.code) == (1, "authentication_failed")
    assert "password authentication failed" in refusal.message
    assert SECRET not in refusal.message + refusal.hint


def test_no_password_at_all(refuse: Refuse, database: Database) -> None:
    refusal = refuse("tenant", "add", "hr", url=database.url.replace(f":{database.server.password}", ""))

    assert (refusal.status, refusal.code) == (1, "authentication_failed")
    assert "no password supplied" in refusal.message


def test_login_that_is_not_there(refuse: Refuse, database: Database) -> None:
    server = database.server

    refusal = refuse("status", url=f"postgresql://nosuch:{SECRET}@{server.host}:{server.port}/{database.name}")

    assert (refusal.status, refusal.code) == (1, "authentication_failed")
    assert SECRET not in refusal.message


def test_missing_database(refuse: Refuse, database: Database) -> None:
    refusal = refuse("tenant", "add", "hr", url=database.url.replace(f"/{database.name}", "/nosuch"))

    assert (refusal.status, refusal.code) == (1, "database_missing")
    assert '"nosuch"' in refusal.message
    assert "createdb nosuch" in refusal.hint


# ------------------------------------------------------------------------------------------------------------ the URL


MALFORMED = [
    f"postgresql://operator:{SECRET}@[::1/fleet",
    f"postgresql://operator:{SECRET}@host:port/fleet",
    f"postgresql://operator:{SECRET}@host:99999/fleet",
    f"postgresql://operator:{SECRET}%zz@host/fleet",
    f"postgresql://operator:{SECRET}@host/fleet?nosuch=1",
    f"postgresql://operator:{SECRET}@host/fleet?sslmode=nosuch",
    f"postgresql://operator:{SECRET}@host/fleet?connect_timeout=soon",
    f"postgresql:/operator:{SECRET}@host/fleet",
    f"mysql://operator:{SECRET}@host/fleet",
    f"operator:{SECRET}@host/fleet",
    f"host=host password={SECRET} nonsense",
    f"host=host password='{SECRET}",
    SECRET,
]


@pytest.mark.parametrize("url", MALFORMED)
@pytest.mark.parametrize("place", ["--database-url", "FEDSCHEMA_DATABASE_URL", "DATABASE_URL"])
def test_malformed_url_is_refused_without_its_password(place: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "DATABASE_URL":
        monkeypatch.setenv(place, url)
    option = ("--database-url", url) if place == "--database-url" else ()

    refusal = _refusal(
        lambda *typed, stdin: type_in(
            *typed, url=url if place == "FEDSCHEMA_DATABASE_URL" else None, stdin=stdin, cwd=ROOT
        ),
        ("tenant", "list", *option),
        "",
    )

    assert (refusal.status, refusal.code) == (2, "invalid_database_url")
    assert place in refusal.message
    assert SECRET not in refusal.message + refusal.hint


@pytest.mark.parametrize("character", list("/@?#%&: '\""))
def test_password_that_was_not_encoded_is_never_shown(character: str) -> None:
    """The commonest mistake in a URL: then parts of the password end up in the place of host or database."""
    before, after = "HushHush", "PstPst"
    url = f"postgresql://operator:{before}{character}{after}@127.0.0.1:1/fleet?connect_timeout=2"

    done = type_in("tenant", "list", url=url, cwd=ROOT)

    assert done.status in {1, 2}
    assert before not in done.stderr
    assert after not in done.stderr


# -------------------------------------------------------------------------------------------------- the control plane


def test_database_without_a_control_plane(blank_database: Database) -> None:
    before = inventory(blank_database.server, blank_database.name)

    for words in COMMANDS:
        refusal = _refusal(
            lambda *typed, stdin: type_in(*typed, stdin=stdin, url=blank_database.url, cwd=ROOT), words, ""
        )
        assert (refusal.status, refusal.code) == (1, "control_plane_missing"), words
        assert refusal.hint == "fedschema init"

    assert inventory(blank_database.server, blank_database.name) == before


def test_control_plane_that_is_behind(refuse_each: RefuseEach, database: Database) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute("DELETE FROM federation.alembic_version")

    for words, refusal in refuse_each(COMMANDS):
        assert (refusal.status, refusal.code) == (1, "control_plane_behind"), words
        assert "federation_0002_retention" in refusal.message
        assert refusal.hint == "fedschema init"


def test_control_plane_that_was_taken_back_is_made_again(database: Database, alembic: Run, command: Run) -> None:
    taken = alembic("-n", "federation", "-x", "confirm=federation", "downgrade", "base")
    assert taken.status == 0, taken

    refused = command("tenant", "add", "hr")
    made = command("init")

    assert refused.status == 1
    assert refused.stderr.splitlines()[-1] == "hint: fedschema init"
    assert made.status == 0, made.stderr
    assert command("tenant", "add", "hr").status == 0


def test_control_plane_that_is_ahead(refuse_each: RefuseEach, database: Database) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute("UPDATE federation.alembic_version SET version_num = 'federation_9999_future'")

    for words, refusal in refuse_each(WITH_INIT):
        assert (refusal.status, refusal.code) == (1, "control_plane_ahead"), words
        assert "federation_9999_future" in refusal.message
        assert "upgrade fedschema" in refusal.hint


def test_schema_named_federation_that_is_not_ours(blank_database: Database, command: Run) -> None:
    with blank_database.connect() as connection:
        connection.execute("CREATE SCHEMA federation")
    before = inventory(blank_database.server, blank_database.name)

    refusal = _refusal(lambda *typed, stdin: command(*typed, stdin=stdin, url=blank_database.url), ("init",), "")

    assert (refusal.status, refusal.code) == (1, "name_taken")
    assert "schema" in refusal.message
    assert "nothing was changed" in refusal.message
    assert inventory(blank_database.server, blank_database.name) == before


# ---------------------------------------------------------------------------------------------------- names that exist


def test_role_of_that_name_that_is_not_ours(refuse: Refuse, database: Database) -> None:
    with _role(database, "legal_role"):
        refusal = refuse("tenant", "add", "legal")

    assert (refusal.status, refusal.code) == (1, "name_taken")
    assert "role legal_role exists already" in refusal.message
    assert "nothing was changed" in refusal.message


def test_role_of_a_department_of_another_database_is_not_to_be_dropped(
    refuse: Refuse, database: Database, blank_database: Database
) -> None:
    with _role(database, "legal_role"):
        with database.connect() as connection:
            connection.execute(
                "COMMENT ON ROLE legal_role IS 'fedschema: department legal of database fedschema_test_blank'"
            )

        refusal = refuse("tenant", "add", "legal")

    assert (refusal.status, refusal.code) == (1, "name_taken")
    assert "department legal of database fedschema_test_blank" in refusal.message
    assert "DROP ROLE" not in refusal.hint, "that would take another fleet's department away"


def test_schema_of_that_name_that_is_not_ours(refuse: Refuse, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA legal_tenant")

    refusal = refuse("tenant", "add", "legal")

    assert (refusal.status, refusal.code) == (1, "name_taken")
    assert "schema legal_tenant exists already" in refusal.message
    assert "nothing was changed" in refusal.message


def test_department_in_any_state_but_dropped_is_not_added_again(refuse: Refuse, database: Database) -> None:
    database.add("hr")
    for status in ("SUSPENDED", "FAILED", "PROVISIONING", "DEPROVISIONING"):
        with database.connect() as connection:
            connection.execute("UPDATE federation.departments SET status = %s", (status,))

        refusal = refuse("tenant", "add", "hr")

        assert (refusal.status, refusal.code) == (1, "department_exists")
        assert status in refusal.message


# --------------------------------------------------------------------------------------------------------- privileges


@contextmanager
def _role(database: Database, name: str) -> Iterator[None]:
    with database.connect() as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        yield
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _url_of(database: Database, login: str) -> str:
    server = database.server
    return f"postgresql://{login}:{database.passwords[login]}@{server.host}:{server.port}/{database.name}"


def _make_read_only(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(database.name))
        )


def test_read_only_server(refuse_each: RefuseEach, database: Database) -> None:
    database.add("hr")
    _make_read_only(database)

    for words, refusal in refuse_each([("init",), ("tenant", "add", "legal"), ("tenant", "drop", "hr", "--yes")]):
        assert (refusal.status, refusal.code) == (1, "read_only_server"), words
        assert "primary" in refusal.hint


def test_read_only_server_fails_each_department(database: Database, command: Run, everything: Inventory) -> None:
    database.add("hr")
    _make_read_only(database)
    before = everything()

    for confirmed in ((), ("--yes",)):
        done = command("downgrade", "hr", "--to", "base", *confirmed, "--json")

        (result,) = document(done)["results"]
        assert (done.status, result["status"], result["error"]["code"]) == (1, "failed", "read_only_server")
    assert everything() == before


def test_read_only_server_can_be_looked_at(database: Database, command: Run) -> None:
    database.add("hr")
    _make_read_only(database)

    for words in (("tenant", "list"), ("tenant", "show", "hr"), ("tenant", "env", "hr"), ("status",), ("history",)):
        assert command(*words).status == 0, words


def test_login_that_is_no_member_of_the_owner(refuse_each: RefuseEach, database: Database) -> None:
    database.add("hr")
    database.create_login("stranger")

    for words, refusal in refuse_each(WITH_INIT, _url_of(database, "stranger")):
        assert (refusal.status, refusal.code) == (1, "privilege_missing"), words
        assert "GRANT federation_owner TO" in refusal.hint


def test_department_itself_is_no_operator(refuse_each: RefuseEach, database: Database) -> None:
    database.add("hr")

    for words, refusal in refuse_each(WITH_INIT, _url_of(database, "hr_role")):
        assert (refusal.status, refusal.code) == (1, "privilege_missing"), words


def test_login_that_may_not_connect(refuse_each: RefuseEach, database: Database) -> None:
    database.add("hr")
    database.create_login("stranger")
    with database.connect() as connection:
        connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM stranger").format(sql.Identifier(database.name)))

    for words, refusal in refuse_each(WITH_INIT, _url_of(database, "stranger")):
        assert (refusal.status, refusal.code) == (1, "authentication_failed"), words
        assert "permission denied for database" in refusal.message
        assert f'GRANT CONNECT ON DATABASE "{database.name}" TO "stranger"' in refusal.hint, (
            "user and password are right"
        )


def test_operator_without_row_security_is_never_told_to_take_the_walls_down(
    database: Database, command: Run, everything: Inventory
) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET row_security = off").format(sql.Identifier(database.name)))
    before = everything()

    for words in (("tenant", "add", "legal"), ("tenant", "show", "hr")):
        done = command(*words)

        assert "NO FORCE" not in done.stderr
        assert done.status == 0 or everything() == before


def test_server_that_takes_no_more_connections(refuse: Refuse, database: Database) -> None:
    database.create_login("stranger", "federation_owner")
    with database.connect() as connection:
        connection.execute("ALTER ROLE stranger CONNECTION LIMIT 0")

    refusal = refuse("tenant", "list", url=_url_of(database, "stranger"))

    assert refusal.status == 1
    assert "too many connections" in refusal.message


# ---------------------------------------------------------------------------------------------------------- passwords


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """A file for its owner alone, with a good password."""
    file = tmp_path / "hr.password"
    file.touch(mode=0o600)
    file.write_text(f"{SECRET}\n")
    return file


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601, 0o777])
def test_password_file_that_others_can_read(refuse_unasked: Refuse, password_file: Path, mode: int) -> None:
    password_file.chmod(mode)

    refusal = refuse_unasked("tenant", "add", "hr", "--password-file", str(password_file))

    assert (refusal.status, refusal.code) == (2, "invalid_password")
    assert f"chmod 600 {password_file}" in refusal.message + refusal.hint
    assert password_file.read_text() == f"{SECRET}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("short", "has 5 characters"),
        ("eleven char\n", "has 11 characters"),
        ("x" * 1001, "has 1001 characters"),
        (f"{SECRET}\n{SECRET}\n", "more than one line"),
        (f"{SECRET}\n\n", "more than one line"),
        (f"{SECRET}\rx", "more than one line"),
        (f"{SECRET}\0x", "more than one line"),
    ],
)
@pytest.mark.parametrize("place", ["file", "stdin"])
def test_password_that_cannot_be_one(
    refuse_unasked: Refuse, password_file: Path, text: str, reason: str, place: str
) -> None:
    password_file.write_bytes(text.encode())
    option = ("--password-file", str(password_file)) if place == "file" else ("--password-stdin",)

    refusal = refuse_unasked("tenant", "add", "hr", *option, stdin=text)

    assert (refusal.status, refusal.code) == (2, "invalid_password")
    assert reason in refusal.message
    assert SECRET not in refusal.message + refusal.hint


def test_password_file_that_is_no_text(refuse_unasked: Refuse, password_file: Path) -> None:
    password_file.write_bytes(b"\xff\xfe\x00secret-secret")

    refusal = refuse_unasked("tenant", "add", "hr", "--password-file", str(password_file))

    assert (refusal.status, refusal.code) == (2, "invalid_password")
    assert "xff" not in refusal.message, "the file's content is shown"


def test_password_file_that_is_a_directory(refuse_unasked: Refuse, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    refusal = refuse_unasked("tenant", "add", "hr", "--password-file", str(tmp_path))

    assert (refusal.status, refusal.code) == (2, "invalid_password")


def test_password_file_that_cannot_be_made(refuse_unasked: Refuse, tmp_path: Path) -> None:
    refusal = refuse_unasked("tenant", "add", "hr", "--password-file", str(tmp_path / "nosuch" / "hr.password"))

    assert (refusal.status, refusal.code) == (2, "invalid_password")
    assert list(tmp_path.iterdir()) == []


def test_two_sources_of_a_password(refuse_unasked: Refuse, password_file: Path, tmp_path: Path) -> None:
    for file in (password_file, tmp_path / "new"):
        refusal = refuse_unasked("tenant", "add", "hr", "--password-stdin", "--password-file", str(file), stdin=SECRET)

        assert (refusal.status, refusal.code) == (2, "usage")
        assert "--password-stdin" in refusal.message
    assert not (tmp_path / "new").exists()


# -------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("place", ["a file in its way", "a device"])
def test_output_directory_that_cannot_be_written(refuse_unasked: Refuse, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("something else")
    directory = tmp_path / "file" / "generated" if place == "a file in its way" else Path("/dev/null/generated")

    done = type_in("tenant", "sql", "hr", "--output-dir", str(directory), cwd=ROOT)

    assert (done.status, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: {directory}")
    assert "--output-dir" in hint
    assert (tmp_path / "file").read_text() == "something else"


def test_output_directory_in_which_the_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "rls_policies_hr.sql").mkdir()  # which binds root too

    done = type_in("tenant", "sql", "hr", "--output-dir", str(tmp_path), cwd=ROOT)

    assert done.status == 2
    assert done.stderr.startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["rls_policies_hr.sql"], "half of it was left behind"


@pytest.mark.parametrize("kind", ["nothing", "a directory", "somebody else's", "no ini"])
def test_config_that_is_no_project(refuse_unasked: Refuse, tmp_path: Path, kind: str) -> None:
    ini = tmp_path / "alembic.ini"
    if kind == "a directory":
        ini.mkdir()
    elif kind == "somebody else's":
        ini.write_text("[alembic]\nscript_location = alembic\n")
    elif kind == "no ini":
        ini.write_text("this is not an ini file\n")

    refusal = refuse_unasked("tenant", "list", "--config", str(ini))

    assert (refusal.status, refusal.code) == (2, "project_not_found")
    assert str(ini) in refusal.message
