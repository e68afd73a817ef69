"""Pages about departments and servers."""

from __future__ import annotations

from tests.docs.preparing import SUITE, Preparation, departments, rows, sql, written

_AT_A_TERMINAL = "psql's \\password asks at a terminal"

_ADD_FROM = "fedschema tenant add --from departments.csv --password-dir passwords"

_DROP_LEGAL = ["fedschema tenant drop legal --yes"]

_ADD_A_DEPARTMENT = Preparation(
    before=["fedschema init"],
    earlier={
        "fedschema tenant add legal --password-file legal.password": _DROP_LEGAL,
        "vault read -field=password secret/legal | fedschema tenant add legal --password-stdin": _DROP_LEGAL,
        "cat departments.csv": [
            *_DROP_LEGAL,
            written(
                "departments.csv",
                """\
                department_id,name,admin_email
                legal,Legal Department,legal@example.com
                hr,Human Resources,
                sales,,
                """,
            ),
        ],
        "fedschema tenant drop legal": [
            'LEGAL="$(fedschema tenant env legal --password-file legal.password | sed -n s/DATABASE_URL=//p)"',
            sql(
                "LEGAL",
                "INSERT INTO drive_document_repository (drive_file_id, drive_folder_id, file_name) "
                " VALUES ('1', 'f', 'n');"
                "INSERT INTO scheduled_tasks (task_name, task_type) VALUES ('n', 't');",
            ),
        ],
    },
    answers={"fedschema tenant drop legal": "legal\n"},
    unordered=frozenset({_ADD_FROM}),
)

_ADOPT = Preparation(
    before=[
        "fedschema init",
        'fedschema tenant sql hr | grep -Ev "^(CALL|UPDATE) federation|^SET LOCAL ROLE" | psql -q "$ADMIN"',
        sql(
            "ADMIN",
            "DROP TABLE hr_tenant.alembic_version; COMMENT ON TABLE hr_tenant.contacts IS 'people';"
            "ALTER TABLE hr_tenant.api_keys NO FORCE ROW LEVEL SECURITY;"
            "GRANT SELECT ON hr_tenant.email_logs TO PUBLIC;"
            "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA hr_tenant FROM PUBLIC;"
            "CREATE SCHEMA old_legal;",
        ),
    ],
    unlike=frozenset({"fedschema tenant adopt legal --schema old_legal --dry-run"}),
)

_ADMINISTRATORS = Preparation(before=departments("hr"))

_OLD_GENERATOR = Preparation(
    before=departments("hr", "sales"),
    mentions="Scripts",
    answers={"fedschema tenant drop hr": "hr\n"},
    later={"fedschema tenant drop hr": ["fedschema tenant add hr --password-file .hr.password"]},
    untried={
        "make test": SUITE,
        "export FEDSCHEMA_DATABASE_URL=postgresql://ops@db.example.com:5432/federation": "there is no such server",
    },
)

_RETENTION = Preparation(
    before=[
        *departments("hr", "sales"),
        sql(
            "HR",
            'INSERT INTO conversation_history (session_id, turn_index, speaker, message_text, "timestamp") VALUES'
            " ('s1', 1, 'user', 'hello', now() - interval '3 years'),"
            " ('s1', 2, 'agent', 'hello, Ada', now() - interval '3 years'),"
            " ('s1', 3, 'user', 'goodbye', now() - interval '18 months');"
            "INSERT INTO email_logs (session_id, recipient_email, subject, created_at)"
            " VALUES ('s1', 'a@example.com', 'hello', now() - interval '91 days');",
        ),
    ],
    connections={"SELECT session_id, turn_index, speaker, message_text FROM conversation_history_archive;": "HR"},
    untried={
        "INSERT INTO federation.retention_rules (table_name, time_column, kept_for) "
        "VALUES ('meetings', 'created_at', NULL);": "it is a line of a revision's template",
    },
)

_GENERATE_SQL = Preparation(before=["fedschema init"], untried={"SET ROLE federation_owner;": _AT_A_TERMINAL})

#: The servers of tests have fsync off, which the doctor rightly says.
_CHECKLIST = Preparation(
    before=departments("hr", "sales"), unlike=frozenset({"fedschema doctor", "fedschema doctor #2"})
)

_SEARCH = Preparation(before=[*departments("hr"), *rows("hr")], connection="HR")

_OPS = {
    "\\password ops": "ALTER ROLE ops PASSWORD 'secret of ops';",
    "\\password second": "ALTER ROLE second PASSWORD 'secret of second';",
    "ops@db.example.com:5432/federation": "ops@${SERVER%/*}/federation",
}


def _as(login: str, command: str) -> str:
    url = f"postgresql://{login}@${{SERVER%/*}}/federation"
    return f"PGPASSWORD='secret of {login}' FEDSCHEMA_DATABASE_URL={url} {command}"


_WITHOUT_SUPERUSER = Preparation(
    own_server=True,
    instead=_OPS,
    connections={"CREATE ROLE second LOGIN;": "ADMIN"},
    later={
        "CREATE ROLE ops LOGIN CREATEROLE;": [_as("ops", "fedschema init")],
        "ALTER ROLE ops NOCREATEROLE;": [_as("ops", "fedschema init"), _as("ops", "fedschema tenant add legal")],
        "CREATE ROLE second LOGIN;": [
            _as("second", "fedschema tenant add hr"),
            _as("second", "fedschema validate --probe"),
        ],
    },
)

_OWN_SERVER = Preparation(
    own_server=True,
    instead=_OPS,
    earlier={
        "CREATE ROLE ops LOGIN CREATEROLE;": ["export PGPASSWORD='secret of ops'"],
        "GRANT CONNECT ON DATABASE federation TO reporting;": [sql("ADMIN", "CREATE ROLE reporting LOGIN;")],
    },
)

_ARCHIVE = Preparation(
    before=[
        *departments("hr", "sales"),
        *rows("hr"),
        "fedschema grant hr sales --type read --resource contacts --by ops@example.com",
    ],
)

_BACK_UP = Preparation(
    before=[*departments("hr", "sales"), *rows("hr", "sales")],
    untried={
        "fedschema backup restore backups --with-grants --key-file backup.key": "it needs a server without these roles",
    },
    unordered=frozenset(
        {
            "fedschema backup --all --to backups --key-file backup.key --keep 14",
            "fedschema backup verify backups --key-file backup.key",
        }
    ),
)

PAGES = {
    "docs/how-to/look-at-a-federation.md": Preparation(before=departments("hr", "legal", "sales")),
    "docs/how-to/monitor.md": Preparation(before=departments("hr", "legal", "sales")),
    "docs/how-to/archive-and-restore.md": _ARCHIVE,
    "docs/how-to/back-up.md": _BACK_UP,
    "docs/how-to/add-a-department.md": _ADD_A_DEPARTMENT,
    "docs/how-to/adopt-a-schema.md": _ADOPT,
    "docs/how-to/administrators-and-passwords.md": _ADMINISTRATORS,
    "docs/how-to/coming-from-the-old-generator.md": _OLD_GENERATOR,
    "docs/how-to/production-checklist.md": _CHECKLIST,
    "docs/how-to/suspend-a-department.md": Preparation(before=departments("hr", "sales")),
    "docs/how-to/generate-sql-without-applying.md": _GENERATE_SQL,
    "docs/how-to/run-retention.md": _RETENTION,
    "docs/how-to/run-without-a-superuser.md": _WITHOUT_SUPERUSER,
    "docs/how-to/search-documents.md": _SEARCH,
    "docs/how-to/use-your-own-server.md": _OWN_SERVER,
}
