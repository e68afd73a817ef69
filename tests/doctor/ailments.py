"""What can be wrong with a server and a platform: how each is brought about, what has to be said, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedschema.doctor import Severity


@dataclass(frozen=True)
class Ailment:
    """One thing that is wrong.

    Attributes:
        check: the check that has to name it.
        object: words of what it is in.
        opens: SQL of a superuser that brings it about, one statement each.
        says: words of the message.
        mend: words of the mend.
        severity: how bad it is.
        by_hand: what mends it where the mend is no statement or command, one statement or command each; empty where
            the mend is typed as it is shown.
    """

    check: str
    object: str
    opens: tuple[str, ...]
    says: str
    mend: str
    severity: Severity = Severity.WARNING
    by_hand: tuple[str, ...] = field(default=())


def setting(check: str, name: str, value: str, says: str, severity: Severity = Severity.WARNING) -> Ailment:
    """Return that a setting is what it should not be."""
    return Ailment(check, name, (f"ALTER SYSTEM SET {name} = '{value}'",), says, "ALTER SYSTEM SET", severity)


_FAIL = Severity.FAILED

_MAKE_VIEWS, _DROP_VIEWS = (
    f"DO $$ BEGIN FOR n IN 1..600 LOOP EXECUTE format('{verb}', n); END LOOP; END $$"
    for verb in ("CREATE VIEW legal_tenant.v%s AS SELECT", "DROP VIEW legal_tenant.v%s")
)
_WASTE = """DO $$ BEGIN FOR n IN 1..12 LOOP
    BEGIN
        EXECUTE (SELECT 'CREATE TABLE waste (' || string_agg(format('c%s integer', c), ',') || ')'
                 FROM generate_series(1, 1500) AS c);
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
END LOOP; END $$"""
_HALF_MADE = """INSERT INTO federation.departments (department_id, department_name, tenant_schema, status)
    VALUES ('half', 'Half', 'half_tenant', 'FAILED')"""
_FAILED_STEP = r"""INSERT INTO federation.schema_migrations
        (department_id, migration_name, direction, success, error_message, applied_at)
    VALUES ('hr', 'tenant_0007_retention', 'upgrade', false, E'no room\nat all', clock_timestamp())"""
_EXPIRED = """INSERT INTO federation.cross_dept_permissions
        (source_department_id, target_department_id, permission_type, resource_type, granted_by, expires_at)
    VALUES ('hr', 'legal', 'read', '*', 'ada', now() - interval '1 day')"""
_OLD_EVENT = "INSERT INTO federation.security_audit (event_type, created_at) VALUES ('OLD', now() - interval '3 years')"

AILMENTS = (
    # --- the server
    setting("logging", "log_statement", "ddl", "ends in the log"),
    setting("logging", "log_min_messages", "fatal", "the audit's lines do not reach the log", _FAIL),
    setting("logging", "log_min_error_statement", "notice", "written out with their values"),
    setting("logging", "log_parameter_max_length_on_error", "64", "a statement that fails is written out"),
    setting("durability", "synchronous_commit", "off", "takes the last transactions"),
    setting("monitoring", "track_activities", "off", "nobody sees who waits"),
    setting("vacuum", "autovacuum", "off", "tables grow", _FAIL),
    Ailment(
        "logging",
        "log_min_duration_statement",
        ("ALTER SYSTEM SET log_min_duration_statement = '1h'",),
        "statements are written out with their values",
        "ALTER SYSTEM SET log_parameter_max_length = 0",
    ),
    Ailment(
        "vacuum",
        "replication slot left",
        ("SELECT pg_create_physical_replication_slot('left', true)",),
        "nobody reads from it",
        "SELECT pg_drop_replication_slot('left')",
        by_hand=("SELECT pg_drop_replication_slot('left')",),
    ),
    Ailment(
        "passwords",
        "password_encryption",
        ("ALTER SYSTEM SET password_encryption = 'md5'",),
        "kept as MD5",
        "ALTER SYSTEM SET password_encryption",
    ),
    Ailment(
        "passwords",
        "role hr_role",
        ("ALTER ROLE hr_role PASSWORD 'hr'",),
        "a default one, or made of its name",
        "fedschema tenant rotate-password hr",
        _FAIL,
    ),
    Ailment(
        "passwords",
        "role chief",
        ("ALTER ROLE chief PASSWORD 'change_me_in_production'",),
        "a default one",
        "\\password chief in psql",
        _FAIL,
        ("ALTER ROLE chief PASSWORD NULL",),
    ),
    Ailment(
        "passwords",
        "role old",
        ("ALTER ROLE old PASSWORD 'md50123456789abcdef0123456789abcdef'",),
        "can be cracked",
        "\\password old in psql",
        _FAIL,
        ("ALTER ROLE old PASSWORD NULL",),
    ),
    Ailment(
        "connections",
        "role legal_role",
        ("ALTER ROLE legal_role CONNECTION LIMIT -1",),
        "any number of connections",
        "ALTER ROLE legal_role CONNECTION LIMIT",
    ),
    Ailment(
        "locks",
        "max_locks_per_transaction",
        (_MAKE_VIEWS,),
        "dropping a department takes some",
        "and a restart",
        _FAIL,
        (_DROP_VIEWS,),
    ),
    Ailment(
        "catalogue_bloat",
        "pg_catalog.pg_attribute",
        (_WASTE,),
        "of its rows are dead",
        "VACUUM (ANALYZE) pg_catalog.pg_attribute",
    ),
    # --- the platform
    Ailment(
        "departments",
        "department half",
        (_HALF_MADE,),
        "somebody stopped half-way",
        "fedschema tenant drop half",
        _FAIL,
        ("fedschema tenant drop half --yes",),
    ),
    Ailment(
        "suspended",
        "department sales",
        ("UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'sales'",),
        "its role can log in",
        "fedschema tenant suspend sales",
        _FAIL,
    ),
    Ailment(
        "positions",
        "hr",
        ("fedschema downgrade hr --to tenant_0006_configuration --yes",),
        "1 of ",
        "fedschema upgrade",
    ),
    Ailment(
        "failed_migrations",
        "department hr",
        (_FAILED_STEP,),
        "upgrade of tenant_0007_retention failed",
        "fedschema upgrade hr",
        _FAIL,
        ("fedschema upgrade hr",),
    ),
    Ailment(
        "isolation",
        "table legal_tenant.contacts",
        ("ALTER TABLE legal_tenant.contacts NO FORCE ROW LEVEL SECURITY",),
        "not forced",
        "fedschema validate legal",
        _FAIL,
        ("ALTER TABLE legal_tenant.contacts FORCE ROW LEVEL SECURITY",),
    ),
    Ailment(
        "drift",
        "department sales",
        ("ALTER TABLE sales_tenant.contacts ADD COLUMN extra integer",),
        "otherwise than most",
        "fedschema drift sales",
        by_hand=("ALTER TABLE sales_tenant.contacts DROP COLUMN extra",),
    ),
    Ailment(
        "indexes",
        "index legal_tenant.contacts_pkey",
        ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'legal_tenant.contacts_pkey'::regclass",),
        "it keeps no value from coming twice",
        "REINDEX INDEX CONCURRENTLY legal_tenant.contacts_pkey",
        _FAIL,
    ),
    Ailment(
        "grants_expired",
        "grant hr -> legal",
        (_EXPIRED,),
        "read on * has expired",
        "fedschema revoke hr legal --type read --resource '*'",
    ),
    Ailment(
        "audit",
        "federation.security_audit",
        (_OLD_EVENT,),
        "older than two years",
        "SELECT federation.cleanup_old_security_audit()",
    ),
    Ailment(
        "attributes",
        "role legal_role",
        ("ALTER ROLE legal_role BYPASSRLS",),
        "BYPASSRLS",
        "ALTER ROLE legal_role NOBYPASSRLS",
        _FAIL,
    ),
)
