"""What `fedschema doctor` looks at: the production checklist, in the registry's own terms, and how each is asked.

A question is a file of templates/checks/doctor; each row of its answer is a finding: severity, object, message, mend.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedschema.checks import CATALOGUE_CHECKS, STATE_CHECKS, Check


@dataclass(frozen=True, slots=True)
class Question:
    """How the database is asked about a check.

    Attributes:
        check: the name of the check.
        template: the file of templates/checks/doctor.
        as_login: it needs what the login itself may see, rather than what the owner may.
    """

    check: str
    template: str
    as_login: bool = False


#: The server itself; these need no control plane.
SERVER_CHECKS = (
    Check(
        "server_version",
        "PostgreSQL is supported, and has the fixes of flaws that open walls or hand over the server",
        "install the newest minor release and restart; no dump is needed",
    ),
    Check("authentication", "nobody logs in without a password, or sends one in clear", "scram-sha-256 in pg_hba.conf"),
    Check("tls", "what goes over a network is encrypted", "ssl = on, and hostssl in pg_hba.conf"),
    Check(
        "passwords", "no login has a default password, or one that is guessed", "fedschema tenant rotate-password ID"
    ),
    Check(
        "logging", "the log keeps the audit, and no passwords or values", "ALTER SYSTEM SET …; SELECT pg_reload_conf()"
    ),
    Check("durability", "what was committed survives a crash", "ALTER SYSTEM RESET …; SELECT pg_reload_conf()"),
    Check("vacuum", "dead rows and old transaction ids are cleared away", "end what holds them back; VACUUM"),
    Check(
        "monitoring",
        "it can be seen what queries cost and who waits",
        "shared_preload_libraries = 'pg_stat_statements', and a restart",
    ),
    Check(
        "pooler", "what needs a session of its own reaches the server itself", "--direct-url, or FEDSCHEMA_DIRECT_URL"
    ),
    Check("connections", "no login can take all connections away from the others", "ALTER ROLE … CONNECTION LIMIT …"),
    Check("locks", "the lock table has room for work on every table", "ALTER SYSTEM SET max_locks_per_transaction = …"),
    Check("catalogue_bloat", "the catalogue of so many tables is vacuumed", "VACUUM (ANALYZE) pg_catalog.…"),
)

#: The platform and its departments; these ask the control plane.
PLATFORM_CHECKS = (
    Check("control_plane_revision", "the control plane is where this fedschema needs it", "fedschema init"),
    Check("departments", "there is a department, and none is half made", "fedschema tenant show ID"),
    Check("suspended", "who is suspended is shut out", "fedschema tenant suspend ID"),
    Check("positions", "every department is at head", "fedschema upgrade"),
    Check("failed_migrations", "the last migration of every department went through", "fedschema history ID"),
    Check(
        "isolation",
        "every table of a department has row-level security, forced, and policies",
        "fedschema validate --probe, which looks at every wall and tries them",
    ),
    Check("drift", "departments at the same revision look alike", "fedschema drift, which compares with the revisions"),
    Check("indexes", "every index is valid", "REINDEX INDEX CONCURRENTLY …"),
    Check("grants_expired", "what has expired or is switched off is cleared away", "fedschema revoke SOURCE TARGET …"),
    Check("backups", "every department was backed up, not long ago", "fedschema backup --all --to DIR"),
    Check("audit", "what gateways ask for stays on record, and what is too old goes", "fedschema init --durable-audit"),
    Check("encryption_key", "the stored secrets can be read with the key at hand", "export OAUTH_ENCRYPTION_KEY=…"),
)

_SHARED_WITH_VALIDATE = (
    "attributes",
    "memberships",
    "control_plane",
    "decisions",
    "entitlements",
    "role_settings",
    "database",
    "publications",
    "registry",
)
#: What `validate` asks too, and is about the platform as a whole.
VALIDATED_CHECKS = tuple(check for check in CATALOGUE_CHECKS + STATE_CHECKS if check.name in _SHARED_WITH_VALIDATE)

DOCTOR_CHECKS = SERVER_CHECKS + PLATFORM_CHECKS + VALIDATED_CHECKS

SERVER_QUESTIONS = (
    Question("authentication", "authentication", as_login=True),
    Question("tls", "tls", as_login=True),
    Question("tls", "tls_required", as_login=True),
    Question("logging", "logging", as_login=True),
    Question("durability", "durability", as_login=True),
    Question("vacuum", "vacuum", as_login=True),
    Question("monitoring", "monitoring", as_login=True),
    Question("connections", "connections", as_login=True),
    Question("locks", "locks", as_login=True),
    Question("catalogue_bloat", "catalogue_bloat", as_login=True),
)
PLATFORM_QUESTIONS = (
    Question("departments", "departments"),
    Question("suspended", "suspended"),
    Question("failed_migrations", "failed_migrations"),
    Question("isolation", "isolation"),
    Question("drift", "cohorts"),
    Question("indexes", "indexes"),
    Question("grants_expired", "grants_expired"),
    Question("backups", "backups"),
    Question("audit", "audit"),
    Question("memberships", "owner"),
)
