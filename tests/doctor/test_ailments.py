"""What is wrong is named, with what mends it; and what mends it does."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fedschema import doctor, federation
from fedschema.compiler import Compiler
from fedschema.doctor import DOCTOR_CHECKS, Diagnosis, Finding, Severity, examination
from fedschema.doctor.checklist import VALIDATED_CHECKS
from fedschema.embedded import throwaway_server
from tests.cli.typing_in import type_in
from tests.conftest import PROJECT, ROOT, Database, Server, programs
from tests.doctor.ailments import AILMENTS, Ailment

#: As a server in production has them; few places for locks.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "max_wal_senders": "2",
    "max_connections": "110",
    "max_locks_per_transaction": "10",
    "autovacuum_naptime": "1h",
}
EVERY = pytest.mark.parametrize("ailment", AILMENTS, ids=[f"{one.check}-{one.object}" for one in AILMENTS])


@pytest.fixture(scope="module")
def patient() -> Iterator[Database]:
    """A server of its own, with four departments, an administrator, and an old login."""
    with throwaway_server(programs(), SETTINGS) as running:
        server = Server(running.host, running.port, running.user, running.password)
        compiler = Compiler(PROJECT)
        federation.initialise(server.conninfo("postgres"), compiler)
        found = Database(server, "postgres", compiler)
        for department in ("hr", "legal", "sales", "support"):
            found.add(department)
        found.create_login("chief")
        found.create_login("old")
        with found.connect() as root:
            for login in ("chief", "old"):
                root.execute(f"COMMENT ON ROLE {login} IS 'fedschema: {login}'")
        yield found


def examine(patient: Database, **options: object) -> Diagnosis:
    return doctor.examine(patient.conninfo, patient.compiler, **options)  # type: ignore[arg-type] # as the test names them


def told(found: Diagnosis, *severities: Severity) -> list[str]:
    return [f"{one.check}: {one} [{one.mend}]" for one in found.findings if one.severity in severities]


def do(patient: Database, step: str) -> None:
    """Type a command, or run SQL as the superuser, one statement at a time."""
    if step.startswith("fedschema "):
        done = type_in(*shlex.split(step)[1:], "--database-url", patient.url, url=patient.url, cwd=ROOT)
        assert done.status == 0, done.stderr
        return
    with patient.connect() as root:
        for statement in [step] if step.startswith("DO ") else step.split(";"):
            root.execute(statement)


@pytest.fixture(scope="module")
def sound(patient: Database) -> Diagnosis:
    return examine(patient)


@pytest.fixture(scope="module")
def ill(patient: Database, sound: Diagnosis) -> Diagnosis:
    """Everything wrong at once."""
    assert sound.ok
    for ailment in AILMENTS:
        for step in ailment.opens:
            do(patient, step)
    do(patient, "SELECT pg_reload_conf()")
    _wait(patient, "SELECT current_setting('log_statement') = 'ddl'")
    return examine(patient)


@pytest.fixture(scope="module")
def mended(patient: Database, ill: Diagnosis) -> Diagnosis:
    """Everything mended, by what was said to mend it."""
    for ailment in AILMENTS:
        for step in ailment.by_hand or [finding_of(ill, ailment).mend or ""]:
            do(patient, step)
    _wait(patient, "SELECT current_setting('log_statement') = 'none' AND current_setting('autovacuum')::boolean")
    return examine(patient)


def _wait(patient: Database, question: str) -> None:
    """Wait until the server has read its settings."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with patient.connect() as root:
            if root.execute(question).fetchone() == (True,):
                return
        time.sleep(0.05)
    raise AssertionError(question)


def finding_of(found: Diagnosis, ailment: Ailment) -> Finding:
    named = [
        one
        for one in found.findings
        if one.check == ailment.check and ailment.object in one.object and ailment.says in one.message
    ]
    assert named, told(found, *Severity)
    return named[0]


def test_sound_server_has_nothing_but_the_missing_backup(sound: Diagnosis) -> None:
    assert told(sound, Severity.FAILED, Severity.UNSEEN) == []
    assert {one.check for one in sound.findings if one.severity is Severity.WARNING} <= {
        "backups",
        "durability",  # PostgreSQL 17 and older make a cluster without checksums
    }


@EVERY
def test_ailment_is_named_with_its_mend(ill: Diagnosis, ailment: Ailment) -> None:
    found = finding_of(ill, ailment)

    assert found.severity is ailment.severity
    assert ailment.mend in (found.mend or "")


@EVERY
def test_mend_mends_it(mended: Diagnosis, ailment: Ailment) -> None:
    remaining = [
        str(one)
        for one in mended.findings
        if (one.check, one.severity) == (ailment.check, ailment.severity) and ailment.says in one.message
    ]

    assert remaining == []


def test_after_all_mends_it_is_sound_again(sound: Diagnosis, mended: Diagnosis) -> None:
    assert told(mended, Severity.FAILED, Severity.UNSEEN, Severity.WARNING) == told(
        sound, Severity.FAILED, Severity.UNSEEN, Severity.WARNING
    )


def test_every_check_of_the_doctor_has_an_ailment_or_a_test() -> None:
    elsewhere = {
        "server_version": "test_flaws",
        "authentication": "test_lines_of_pg_hba_are_named",
        "tls": "test_network_without_tls_is_named",
        "pooler": "test_pooler_is_told",
        "control_plane_revision": "test_database_without_control_plane",
        "backups": "test_age_of_backups",
        "encryption_key": "test_key",
    }
    validated = {check.name for check in VALIDATED_CHECKS}

    assert {check.name for check in DOCTOR_CHECKS} - validated == {
        one.check for one in AILMENTS if one.check not in validated
    } | set(elsewhere)


# ------------------------------------------------------------------------------------------------------ one at a time


def test_lines_of_pg_hba_are_named_and_gone_when_they_are_rewritten(patient: Database) -> None:
    with patient.connect() as root:
        row = root.execute("SELECT current_setting('hba_file')").fetchone()
    assert row
    path = Path(row[0])
    before = path.read_text("utf-8")
    lines = (
        "host all chief 10.9.8.7/32 trust\nhost other all 10.9.8.6/32 trust\nhost all all 10.9.8.5/32 password\n"
        "host all all 10.9.8.4/32 md5\nlocal all all trust\nnonsense\n"
    )
    path.write_text(before + lines, "utf-8")
    try:
        found = examine(patient)
    finally:
        path.write_text(before, "utf-8")

    first = len(before.splitlines()) + 1
    said = {one.object: (one.severity, one.message) for one in found.findings if one.check == "authentication"}
    assert said == {
        f"line {first} of pg_hba.conf": (Severity.FAILED, "10.9.8.7 may log in as chief without a password"),
        f"line {first + 2} of pg_hba.conf": (Severity.FAILED, "10.9.8.5 sends the password of everybody in clear"),
        f"line {first + 3} of pg_hba.conf": (
            Severity.WARNING,
            "md5 can be cracked, and what is sent can be used again",
        ),
        f"line {first + 4} of pg_hba.conf": (
            Severity.FAILED,
            "whoever reaches the socket may log in as everybody without a password",
        ),
        f"line {first + 5} of pg_hba.conf": (
            Severity.WARNING,
            'the server cannot read it: invalid connection type "nonsense"',
        ),
    }
    plain = [one.object for one in found.findings if one.check == "tls" and "without TLS" in one.message]
    assert plain == [f"line {first + step} of pg_hba.conf" for step in range(4)]
    assert not [one for one in examine(patient).findings if one.check == "authentication"]


def test_network_without_tls_is_named(patient: Database) -> None:
    """As if 127.0.0.1 were an address of a network: a server of the tests listens nowhere else."""
    text = patient.compiler.templates.render("checks/doctor/tls")
    text = text.replace("'127.0.0.0/8'", "'10.0.0.0/8'").replace("'127.0.0.1', ", "").replace("%%", "%")
    with patient.connect() as root:
        rows = root.execute(text).fetchall()

    assert [(severity, place) for severity, place, _, _ in rows] == [("failed", "role postgres"), ("warning", "ssl")]
    assert "1 of its sessions came from 127.0.0.1" in rows[0][2]


def test_database_without_control_plane_is_not_sound(patient: Database) -> None:
    found = doctor.examine(patient.server.conninfo("template1"), patient.compiler)

    assert [one.mend for one in found.findings if one.check == "control_plane_revision"] == ["fedschema init"]
    by_name = {check.name: found.severity(check) for check in found.checks}
    assert by_name["control_plane_revision"] is Severity.FAILED
    assert {by_name[name] for name in ("isolation", "backups", "attributes", "decisions")} == {Severity.UNSEEN}
    assert by_name["passwords"] is by_name["authentication"] is Severity.OK


@pytest.mark.parametrize(
    ("whose", "age", "says"),
    [
        ("NULL", "1 hour", {}),
        ("'hr'", "1 hour", {"department legal and 2 more": "no backup is on record"}),
        ("NULL", "8 days", {"department hr and 3 more": "the last backup was made at"}),
    ],
    ids=["of all", "of one", "too old"],
)
def test_age_of_backups(patient: Database, whose: str, age: str, says: dict[str, str]) -> None:
    text = patient.compiler.templates.render("checks/doctor/backups").replace("%%", "%")
    with patient.connect() as root, root.transaction(force_rollback=True):
        root.execute("UPDATE federation.departments SET created_at = now() - interval '9 days'")
        root.execute(
            "INSERT INTO federation.security_audit (event_type, source_department_id, created_at) "
            f"VALUES ('BACKUP_MADE', {whose}, now() - interval '{age}')"
        )
        rows = root.execute(text).fetchall()

    assert len(rows) == len(says)
    for _, place, message, mend in rows:
        assert says[place] in message
        assert "fedschema backup" in mend


KEY = "00112233445566778899aabbccddeeff0123456789abcdef0011223344556677"


@pytest.mark.parametrize(
    ("key", "severity", "says"),
    [
        (None, Severity.UNSEEN, "not set, and secrets are stored"),
        ("zz", Severity.FAILED, "has 2 characters, not 64"),
        ("ab" * 32, Severity.FAILED, "it repeats itself"),
        (KEY, Severity.FAILED, "under other keys: deadbeef"),
    ],
    ids=["none", "no key", "weak", "another"],
)
def test_key(patient: Database, key: str | None, severity: Severity, says: str) -> None:
    with patient.connect() as root:
        root.execute(
            "INSERT INTO federation.oauth_credentials (department_id, service_name, oauth_client_id, "
            "oauth_client_secret_encrypted) VALUES ('hr', 's', 'c', '\\x01deadbeef00')"
        )
        try:
            found = [one for one in examine(patient, key=key).findings if one.check == "encryption_key"]
        finally:
            root.execute("DELETE FROM federation.oauth_credentials")

    assert (found[0].severity, says in found[0].message) == (severity, True), found
    assert key is None or not any(key in str(one) for one in found)


#: What takes hours or millions of transactions to come about: a threshold that is already passed stands in its place.
THRESHOLDS = [
    ("vacuum", "interval '1 hour'", "interval '-1 hour'", "process ", "SELECT pg_terminate_backend("),
    (
        "vacuum",
        "2 * pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint",
        "-1",
        "database template0",
        "VACUUM (FREEZE)",
    ),
    ("connections", ">= 0.8 *", ">= 0 *", "max_connections", "a pooler in front"),
    ("durability", "= 'off'", "IN ('on', 'off')", "data_checksums", "pg_checksums --enable"),
    (
        "monitoring",
        "('pg_stat_statements.track', true) IS NULL",
        "('x.y', true) IS NULL",
        "pg_stat_statements",
        "a restart",
    ),
]


@pytest.mark.parametrize(("template", "threshold", "passed", "place", "mend"), THRESHOLDS)
def test_threshold_that_is_passed_is_told(
    patient: Database, template: str, threshold: str, passed: str, place: str, mend: str
) -> None:
    text = patient.compiler.templates.render(f"checks/doctor/{template}")
    assert threshold in text
    with patient.connect() as root:
        rows = root.execute(text.replace(threshold, passed).encode(), {"departments": ["hr"]}).fetchall()

    assert [one for one in rows if place in one[1] and mend in one[3]], rows


def test_setting_of_the_command_line_is_not_mended_by_sql(patient: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_FIXED", "SELECT 'log_statement'")
    do(patient, "ALTER SYSTEM SET log_statement = 'mod'; SELECT pg_reload_conf()")
    _wait(patient, "SELECT current_setting('log_statement') = 'mod'")
    try:
        found = [one for one in examine(patient).findings if one.object == "log_statement"]
    finally:
        do(patient, "ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf()")

    assert [one.mend for one in found] == ["restart the server without log_statement on its command line"]


def test_pooler_is_told(patient: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_MY_PROCESS", "SELECT 0")

    without, with_direct = examine(patient), examine(patient, direct=patient.conninfo)

    assert [
        (one.severity, "--direct-url" in (one.mend or "")) for one in without.findings if one.check == "pooler"
    ] == [(Severity.WARNING, True)]
    assert [one.severity for one in with_direct.findings if one.check == "pooler"] == [Severity.NOTE]


def test_operator_is_told_what_only_a_superuser_sees(patient: Database) -> None:
    with patient.connect() as root:
        root.execute("CREATE ROLE operator LOGIN PASSWORD 'f9 long and random'")
        root.execute("GRANT federation_owner TO operator")
        root.execute("GRANT CONNECT ON DATABASE postgres TO operator")
        try:
            conninfo = patient.server.conninfo("postgres", "operator", "f9 long and random")
            found = doctor.examine(conninfo, patient.compiler)
        finally:
            root.execute("REVOKE CONNECT ON DATABASE postgres FROM operator; DROP ROLE operator")

    unseen = {check.name for check in found.checks if found.severity(check) is Severity.UNSEEN}
    assert unseen == {"authentication", "passwords", "tls"}
    assert all(one.mend for one in found.findings if one.severity is Severity.UNSEEN)


def test_question_that_breaks_is_not_sound(patient: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with patient.connect() as root:
        root.execute("ALTER TABLE federation.security_audit RENAME TO elsewhere")
        try:
            found = examine(patient)
        finally:
            root.execute("ALTER TABLE federation.elsewhere RENAME TO security_audit")

    by_name = {check.name: found.severity(check) for check in found.checks}
    assert by_name["backups"] is by_name["audit"] is Severity.UNSEEN


# ---------------------------------------------------------------------------------------------------------- the command


def test_nothing_that_is_printed_is_a_secret(patient: Database) -> None:
    with patient.connect() as root:
        root.execute("ALTER ROLE hr_role PASSWORD 'hr'")
        verifiers = [row[0] for row in root.execute("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")]

    plain = type_in("doctor", "--verbose", "--thorough", url=patient.url, cwd=ROOT)
    as_json = type_in("doctor", "--json", url=patient.url, cwd=ROOT)

    assert (plain.status, as_json.status) == (1, 1)
    assert "FAILED  passwords" in plain.stdout
    for shown in (plain.stdout, as_json.stdout, plain.stderr):
        assert not any(verifier in shown for verifier in verifiers)
    with patient.connect() as root:
        root.execute("ALTER ROLE hr_role PASSWORD NULL")


def test_as_many_questions_are_asked_of_more_departments(patient: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    original = psycopg.Cursor.execute
    asked: list[object] = []

    def counting(self: psycopg.Cursor, query: Any, *rest: Any, **more: Any) -> psycopg.Cursor:
        asked.append(query)
        return original(self, query, *rest, **more)

    def count() -> int:
        asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(psycopg.Cursor, "execute", counting)
            examine(patient)
        return len(asked)

    few = count()
    patient.add("another")

    assert count() == few
