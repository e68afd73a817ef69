"""Pages about sharing and security."""

from __future__ import annotations

from tests.docs.preparing import DEMO, Preparation, asked, departments, gateway, sql

_API_GATEWAY = "fedschema gateway add api_gateway --department hr --password-file api_gateway.password"

_GATEWAYS = Preparation(
    before=[
        *DEMO,
        sql(
            "SALES",
            "INSERT INTO email_logs (session_id, recipient_email, subject, body, status)"
            " SELECT 's' || n, 'x@example.com', 's', 'b', CASE WHEN n > 30 THEN 'FAILED' ELSE 'SENT' END"
            " FROM generate_series(1, 40) AS n;",
        ),
        "fedschema grant hr sales --type read --resource drive_documents",
        "fedschema grant hr sales --type search --resource drive_documents",
        "fedschema grant hr sales --type aggregate --resource emails",
    ],
    earlier={
        "fedschema gateway list": ["fedschema gateway add reports --all"],
        "SET ROLE cross_dept_query_role;": [
            _API_GATEWAY,
            'GATEWAY="postgresql://api_gateway:$(cat api_gateway.password)@$SERVER"',
        ],
        "import psycopg": [
            "export PGUSER=api_gateway PGHOST=${SERVER%:*} PGDATABASE=${SERVER#*/} PGPASSFILE=$PWD/pass",
            "PORT=${SERVER#*:}; export PGPORT=${PORT%/*}",
            'umask 077; echo "*:*:*:*:$(cat api_gateway.password)" > pass',
        ],
    },
    connection="GATEWAY",
    untried={"[databases]": "tests/programs/test_pgbouncer.py runs PgBouncer with these settings"},
)

_SECRETS = Preparation(
    instead={"2031-01-31": "2099-01-31"},
    before=[
        *departments("hr", "sales"),
        "(umask 077; echo one > google.secret; echo two > google.token; echo three > openai.key)",
    ],
    answers={"fedschema secret set hr openai --key default --expires 2031-01-31": "four\nfour\n"},
    untried={
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM": "tests/secrets/test_how_to.py runs it",
    },
)

_PROVE = Preparation(
    before=[
        *DEMO,
        *gateway("demo_gateway", "hr"),
        "fedschema grant hr sales --type read --resource drive_documents --expires 30d --by admin@company.com",
        "fedschema grant hr sales --type search --resource drive_documents --expires 30d --by admin@company.com",
    ],
    earlier={
        "fedschema validate --probe #2": [
            sql(
                "ADMIN",
                "GRANT sales_role TO hr_role; ALTER TABLE legal_tenant.contacts NO FORCE ROW LEVEL SECURITY;"
                " CREATE POLICY support ON sales_tenant.contacts USING (true);",
            ),
        ],
    },
    later={
        "fedschema validate --probe #2": [
            sql(
                "ADMIN",
                "REVOKE sales_role FROM hr_role; DROP POLICY support ON sales_tenant.contacts;"
                " ALTER TABLE legal_tenant.contacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;",
            ),
        ],
    },
)

_ASKED = [
    asked("legal", "SELECT count(*) FROM sales_tenant.contacts;"),
    asked("hr", "SELECT count(*) FROM sales_tenant.drive_document_repository;"),
    asked("hr", "SELECT * FROM federation.search('sales', 'drive_documents', 'q4 report');"),
    asked("hr", "SELECT * FROM federation.aggregate('sales', 'emails', 'count', 'status');"),
]

_AUDIT = Preparation(
    before=[*_GATEWAYS.before, *gateway("api_gateway", "hr"), *_ASKED],
    connections={"BEGIN;": "GATEWAY"},
    later={"SET ROLE federation_admin_role;": ["fedschema init --no-durable-audit"]},
)

_SHARE = Preparation(
    before=[*DEMO, *gateway("api_gateway", "hr")],
    earlier={
        "fedschema grants": ["fedschema grant hr sales --type read --resource '*' --expires 2099-01-31"],
        "fedschema audit --denied --since 1m": [asked("hr", "SELECT count(*) FROM sales_tenant.contacts;")],
    },
)

PAGES = {
    "docs/how-to/gateways.md": _GATEWAYS,
    "docs/how-to/keep-secrets.md": _SECRETS,
    "docs/how-to/prove-isolation.md": _PROVE,
    "docs/how-to/review-the-audit.md": _AUDIT,
    "docs/how-to/share-between-departments.md": _SHARE,
}
