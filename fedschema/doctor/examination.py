"""Goes through the checklist: `fedschema doctor`. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from fedschema import checks, drift, positions, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction, translated
from fedschema.department import Department
from fedschema.doctor.checklist import (
    DOCTOR_CHECKS,
    PLATFORM_CHECKS,
    PLATFORM_QUESTIONS,
    SERVER_QUESTIONS,
    VALIDATED_CHECKS,
    Question,
)
from fedschema.doctor.findings import Diagnosis, Finding, Severity
from fedschema.doctor.flaws import AS_OF, examine_version
from fedschema.doctor.guesses import Secret, candidates, guess
from fedschema.encryption import KEY_ID_BYTES, Key
from fedschema.errors import FedschemaError, InvalidEncryptionKey
from fedschema.positions import Position
from fedschema.rendering import Templates, quote_identifier
from fedschema.versions import Heads

_WHAT = "looking at the server and the platform"
#: How long the passwords of departments are guessed at; each guess costs a millisecond or more.
_GUESSING_SECONDS = 0.3
_KEY_VARIABLE = "OAUTH_ENCRYPTION_KEY"
#: More departments than this are told as a number.
_NAMED = 5

_MY_PROCESS = "SELECT pg_catalog.pg_backend_pid()"
#: Settings that ALTER SYSTEM does not reach.
_FIXED = "SELECT name FROM pg_catalog.pg_settings WHERE source IN ('command line', 'environment variable')"
_VERIFIERS = """
    SELECT role.rolname::text, role.rolpassword,
           pg_catalog.shobj_description(role.oid, 'pg_authid') LIKE 'fedschema: department %%' AS of_department
    FROM pg_catalog.pg_authid AS role
    WHERE role.rolcanlogin AND role.rolpassword IS NOT NULL
"""
_KEY_IDS = """
    SELECT DISTINCT pg_catalog.encode(pg_catalog.substr(value, 2, %s), 'hex')
    FROM federation.oauth_credentials
    CROSS JOIN LATERAL (VALUES (oauth_client_secret_encrypted), (refresh_token_encrypted)) AS kept (value)
    WHERE value IS NOT NULL
"""


def examine(
    conninfo: str, compiler: Compiler, *, direct: str | None = None, key: str | None = None, thorough: bool = False
) -> Diagnosis:
    """Go through the checklist.

    Args:
        conninfo: the database.
        compiler: the project.
        direct: the same database past a pooler; None where none was given.
        key: OAUTH_ENCRYPTION_KEY as it is set; None where it is not.
        thorough: also guess at every password for as long as it takes, and compare every department with its revisions.

    Raises:
        ServerUnreachable, AuthenticationFailed: there is nobody to ask. Whatever else cannot be looked at is told.
    """
    with connect(conninfo) as connection:
        doctor = _Doctor(connection, conninfo, compiler, thorough)
        doctor.look_at_connection(direct)
        doctor.look_at_platform(key)
        doctor.look_at_server()
    return Diagnosis(DOCTOR_CHECKS, tuple(doctor.findings), AS_OF)


@dataclass(slots=True)
class _Doctor:
    """One examination: what it works with, and what it has found so far."""

    connection: psycopg.Connection
    conninfo: str
    compiler: Compiler
    thorough: bool
    findings: list[Finding] = field(default_factory=list)
    departments: list[Department] = field(default_factory=list)

    def look_at_connection(self, direct: str | None) -> None:
        """See which version it is, and whether a pooler stands in between."""
        self.findings += examine_version(self.connection.info.server_version, datetime.now(UTC).date())
        row = self.connection.execute(_MY_PROCESS).fetchone()
        if row != (self.connection.info.backend_pid,):  # as `fedschema.reach` tells a pooler
            known = "; --direct-url leads past it" if direct else ""
            severity = Severity.NOTE if direct else Severity.WARNING
            mend = None if direct else "--direct-url, or FEDSCHEMA_DIRECT_URL, with the server's own address"
            self._add("pooler", severity, "this connection", f"it goes through a pooler{known}", mend)

    def look_at_platform(self, key: str | None) -> None:
        """Ask the control plane; where it is not what this fedschema needs, nothing that it says can be trusted."""
        try:
            with owner_transaction(self.connection, _WHAT):
                registry.require_control_plane(self.connection, self.compiler.blueprint.control_plane)
                entries = registry.select(registry.entries(self.connection), [])
            self.departments = [entry.department for entry in entries]
            found = positions.read(self.connection, self.compiler, [])
        except FedschemaError as error:
            self._add("control_plane_revision", Severity.FAILED, "schema federation", error.message, error.hint)
            for check in PLATFORM_CHECKS[1:] + VALIDATED_CHECKS:
                self._add(check.name, Severity.UNSEEN, "schema federation", "see control_plane_revision", error.hint)
            return
        self._look_at_positions([position for position, _ in found])
        values = self._values(found)
        with owner_transaction(self.connection, _WHAT):
            self.connection.execute(checks.LOCK_TIMEOUT)
            for question in PLATFORM_QUESTIONS:
                self._ask(question, values)
            self._look_at_key(key)
        self._validate()
        if self.thorough:
            self._compare()

    def look_at_server(self) -> None:
        """Ask what needs no control plane, as the login itself: the owner may see less of the server."""
        values = self._values([])
        with translated(_WHAT), self.connection.transaction():
            self.connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            for question in SERVER_QUESTIONS:
                self._ask(question, values)
            fixed = {row[0] for row in self.connection.execute(_FIXED)}
            self._guess()
        self.findings = [
            replace(finding, mend=f"restart the server without {finding.object} on its command line")
            if finding.object in fixed and "ALTER SYSTEM" in (finding.mend or "")
            else finding
            for finding in self.findings
        ]

    def _values(self, found: Iterable[tuple[Position, Heads]]) -> dict[str, Any]:
        heads = {position.entry.department_id: ",".join(heads) for position, heads in found if heads}
        return {"departments": [department.id for department in self.departments], "heads": Jsonb(heads)}

    def _ask(self, question: Question, values: Mapping[str, Any]) -> None:
        """Ask one question; that it cannot be answered is a finding as well."""
        templates: Templates = self.compiler.templates
        try:
            with self.connection.transaction(), self.connection.cursor(row_factory=class_row(_Row)) as cursor:
                rows = cursor.execute(
                    templates.render(f"checks/doctor/{question.template}").encode(), values
                ).fetchall()
        except psycopg.Error as error:
            reason = (error.diag.message_primary or str(error)).strip()
            self._add(question.check, Severity.UNSEEN, question.template, reason, "as a superuser: fedschema doctor")
            return
        for row in rows:
            self._add(question.check, Severity(row.severity), row.object, row.message, row.mend)

    def _look_at_positions(self, found: Sequence[Position]) -> None:
        for position in found:
            if position.problem:
                where = f"department {position.entry.department_id}"
                self._add("positions", Severity.FAILED, where, position.problem.message, position.problem.hint)
        behind = [position.entry.department_id for position in found if not position.at_head and not position.problem]
        if behind:
            named = ", ".join(behind) if len(behind) <= _NAMED else f"{', '.join(behind[:_NAMED])} and more"
            self._add(
                "positions", Severity.WARNING, named, f"{len(behind)} of {len(found)} behind", "fedschema upgrade"
            )

    def _validate(self) -> None:
        """Ask what `validate` asks about the platform as a whole."""
        for check in VALIDATED_CHECKS:
            try:
                with owner_transaction(self.connection, _WHAT):
                    holes = checks.run(self.connection, self.compiler.templates, self.departments, [check])
            except FedschemaError as error:
                self._add(check.name, Severity.UNSEEN, "the catalogue", error.message, error.hint)
                continue
            for hole in holes:
                unseen = hole.message.startswith(checks.NOT_TRIED)
                severity = Severity.UNSEEN if unseen else Severity.FAILED
                self._add(check.name, severity, f"{hole.pair}: {hole.object}", hole.message, hole.mend)

    def _compare(self) -> None:
        """Compare every department with what its revisions give."""
        for one in drift.examine_over(self.connection, self.conninfo, self.compiler, []):
            where = f"department {one.department}"
            if one.problem:
                self._add("drift", Severity.UNSEEN, where, one.problem.message, one.problem.hint)
            elif one.differences:
                more = len(one.differences) - 1
                message = f"{one.differences[0]}{f' and {more} more' if more else ''}"
                self._add("drift", Severity.FAILED, where, message, f"fedschema drift {one.department}")

    def _look_at_key(self, text: str | None) -> None:
        """Compare the key at hand with those that the stored secrets are under; it is never shown."""
        kept = {row[0] for row in self.connection.execute(_KEY_IDS, (KEY_ID_BYTES,))}
        if text is None:
            if kept:
                self._add("encryption_key", Severity.UNSEEN, _KEY_VARIABLE, "it is not set, and secrets are stored")
            return
        try:
            key = Key.parse(text, _KEY_VARIABLE)
        except InvalidEncryptionKey as error:
            self._add("encryption_key", Severity.FAILED, _KEY_VARIABLE, error.message, error.hint)
            return
        if key.is_weak:
            self._add(
                "encryption_key", Severity.FAILED, _KEY_VARIABLE, "it repeats itself: nobody drew it by chance",
                "openssl rand -hex 32 makes one; then: fedschema secret rotate-key",
            )  # fmt: skip
        if others := sorted(kept - {key.id.hex()}):
            message = f"secrets are stored under other keys: {', '.join(others)}"
            self._add("encryption_key", Severity.FAILED, _KEY_VARIABLE, message, "fedschema secret list; rotate-key")

    def _guess(self) -> None:
        """Guess at passwords, which takes a superuser: nobody else is shown the verifiers."""
        try:
            with self.connection.transaction():
                rows = self.connection.execute(_VERIFIERS).fetchall()
        except psycopg.Error as error:
            reason = (error.diag.message_primary or str(error)).strip()
            self._add("passwords", Severity.UNSEEN, "pg_authid", reason, "as a superuser: fedschema doctor")
            return
        for login, verifier, _ in rows:
            if verifier.startswith("md5"):
                message = "its password is kept as MD5, which can be cracked"
                self._add("passwords", Severity.FAILED, f"role {login}", message, _new_password(login))
        people = [Secret(login, kept, candidates(login, thorough=True)) for login, kept, theirs in rows if not theirs]
        services = [
            Secret(login, kept, candidates(login, thorough=self.thorough)) for login, kept, theirs in rows if theirs
        ]
        guessed, _ = guess(people, None)
        of_services, tried = guess(services, None if self.thorough else _GUESSING_SECONDS)
        for login in guessed + of_services:
            message = "its password is a default one, or made of its name"
            self._add("passwords", Severity.FAILED, f"role {login}", message, _new_password(login))
        if tried < len(services):
            message = f"{len(services) - tried} of {len(services)} were not guessed at, drawn by chance"
            self._add("passwords", Severity.NOTE, "departments' roles", message, "fedschema doctor --thorough")
        self._look_at_encryption_of_passwords()

    def _look_at_encryption_of_passwords(self) -> None:
        row = self.connection.execute("SELECT pg_catalog.current_setting('password_encryption')").fetchone()
        if row != ("scram-sha-256",):
            mend = "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf()"
            self._add(
                "passwords", Severity.WARNING, "password_encryption", "passwords set by SQL are kept as MD5", mend
            )

    def _add(self, check: str, severity: Severity, where: str, message: str, mend: str | None = None) -> None:
        self.findings.append(Finding(check, severity, where, message, mend))


@dataclass(frozen=True, slots=True)
class _Row:
    severity: str
    object: str
    message: str
    mend: str | None


def _new_password(login: str) -> str:
    """Say how a login gets another password."""
    if login.endswith("_role"):
        with suppress(FedschemaError):
            return f"fedschema tenant rotate-password {Department.parse(login.removesuffix('_role'))}"
    return f"\\password {quote_identifier(login)} in psql; or fedschema admin rotate, fedschema gateway rotate"
