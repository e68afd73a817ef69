"""Pages about projects, revisions and releases."""

from __future__ import annotations

from tests.docs.preparing import MADE, MEETINGS, SUITE, Preparation, Revision, departments, revision, sql, written

_MEETINGS_REVISION = [
    written("templates/tenant/meetings/meeting_notes.sql.j2", MEETINGS),
    revision(Revision("tenant_0008_meetings", "tenant_0007_retention"), MADE),
]

_MATTERS = [
    written("templates/tenant/legal/matters.sql.j2", MEETINGS.replace("meeting_notes", "matters")),
    written(
        "alembic/versions/departments/legal/0001_matters.py",
        '"""Matters."""\n\nfrom alembic import op\n\nrevision = "legal_0001_matters"\ndown_revision = None\n'
        'branch_labels = ("legal",)\ndepends_on = "tenant_0007_retention"\n\n'
        + MADE.replace("meetings", "legal").replace("meeting_notes", "matters"),
    ),
]

_OWN_PROJECT = Preparation(
    place="directory",
    earlier={
        "fedschema new . --update": [
            "rm templates/checks/walls.sql.j2 alembic/versions/tenant/tenant_1001_meetings.py",
            "echo '-- Ours.' >> templates/tenant/department/drop.sql.j2",
        ],
    },
    untried={
        "pip install fedschema": "tests/projects/test_wheel.py installs the wheel",
        "pip install --upgrade fedschema": "there is one version",
    },
)

_NEW_PROJECT = Preparation(
    earlier={
        "fedschema tenant sql preview": [
            written("templates/tenant/meetings/meeting_notes.sql.j2", MEETINGS),
            revision(Revision("tenant_1001_meetings", "tenant_0007_retention"), MADE),
        ],
    },
)

_TEN = ("facilities", "finance", "hr", "it", "legal", "marketing", "procurement", "research", "sales", "support")

_RELEASE_COMMAND = "fedschema upgrade --canary 2 --jobs 4 --max-failures 10% --lock-timeout 2s --max-lock-hold 10s"

_NICKNAME = """\
ADD = "tenant/communication/contacts_full_name"
DROP = "tenant/communication/contacts_drop_full_name"


def upgrade() -> None:
    op.execute_template(ADD, reverse=DROP)


def downgrade() -> None:
    op.execute_template(DROP, reverse=ADD)
"""

_PLANNED = """\
UP = "tenant/communication/planned"
DOWN = "tenant/communication/planned_back"


def upgrade() -> None:
    op.execute_template(UP, reverse=DOWN)


def downgrade() -> None:
    op.execute_template(DOWN, reverse=UP)
"""

#: What is looked at before it is done: a column, an index, a CHECK and a type, with rows of HR in the way.
_LOOKED_AT = [
    written(
        "templates/tenant/communication/planned.sql.j2",
        "ALTER TABLE {{ department.schema | ident }}.contacts ADD COLUMN nickname text;\n"
        "CREATE INDEX idx_contacts_nickname ON {{ department.schema | ident }}.contacts (nickname);\n"
        "ALTER TABLE {{ department.schema | ident }}.contacts\n"
        "    ADD CONSTRAINT contacts_full_name_check CHECK (full_name <> '');\n"
        "ALTER TABLE {{ department.schema | ident }}.tool_calls ALTER COLUMN execution_time_ms TYPE bigint;\n",
    ),
    written(
        "templates/tenant/communication/planned_back.sql.j2",
        "ALTER TABLE {{ department.schema | ident }}.contacts DROP COLUMN nickname,\n"
        "    DROP CONSTRAINT contacts_full_name_check;\n"
        "ALTER TABLE {{ department.schema | ident }}.tool_calls ALTER COLUMN execution_time_ms TYPE integer;\n",
    ),
    revision(Revision("tenant_0008_nickname", "tenant_0007_retention"), _PLANNED),
    sql("HR", "INSERT INTO contacts (contact_id, full_name) SELECT n, '' FROM generate_series(1, 7) AS n;"),
]
_PLAN = "fedschema upgrade --plan --out plan.json"
_APPLY = "fedschema upgrade --apply plan.json --canary 2 --lock-timeout 2s"

_RELEASE = Preparation(
    before=departments(*_TEN),
    earlier={
        _PLAN: _LOOKED_AT,
        f"{_PLAN} #2": [sql("HR", "DELETE FROM contacts;")],
        f"{_RELEASE_COMMAND} #2": [
            written(
                "templates/tenant/communication/contacts_full_name.sql.j2",
                "ALTER TABLE {{ department.schema | ident }}.contacts\n"
                "    ADD CONSTRAINT contacts_full_name_check CHECK (full_name <> '');\n",
            ),
            written(
                "templates/tenant/communication/contacts_drop_full_name.sql.j2",
                "ALTER TABLE {{ department.schema | ident }}.contacts DROP CONSTRAINT contacts_full_name_check;\n",
            ),
            revision(Revision("tenant_0008_nickname", "tenant_0007_retention"), _NICKNAME),
            sql("HR", "INSERT INTO contacts (contact_id, full_name) VALUES ('people/1', '');"),
        ],
        "fedschema upgrade": [sql("HR", "DELETE FROM contacts;")],
    },
    later={
        _APPLY: [
            "fedschema downgrade --all --to -1 --yes",
            "rm plan.json alembic/versions/tenant/tenant_0008_nickname.py",
        ],
    },
    unordered=frozenset({f"{_RELEASE_COMMAND} #2"}),
    untried={
        "fedschema upgrade --rehearse=live": "which department took longest is the machine's to say: "
        "tests/fleet/test_live_rehearsal.py",
        "fedschema upgrade --jobs 2": "it needs Ctrl-C in time: tests/fleet/test_interruption.py",
    },
)

_UPGRADED = ["fedschema upgrade"]

_ROLL_BACK = Preparation(
    before=[*_MEETINGS_REVISION, *departments("hr", "sales")],
    later={
        "fedschema downgrade hr --to -1": _UPGRADED,
        "fedschema downgrade --all --to tenant_0007_retention --lossy tenant_0008_meetings": [
            *_UPGRADED,
            sql("HR", "INSERT INTO meeting_notes (note) VALUES ('n');"),
        ],
    },
    earlier={"fedschema downgrade legal --to legal@-1": [*_MATTERS, "fedschema tenant add legal"]},
)

_ROOMS = MEETINGS.replace("meeting_notes", "rooms")
_TABLE = 'fedschema revision -m "Meetings: notes that the voice agent takes" --table meeting_notes'
_COLUMNS = "templates/tenant/meetings/meeting_notes_columns.sql.j2"
_BRANCH = 'fedschema revision -m "matters" --department legal --table matters'
_FUNCTION = "templates/tenant/retention/cleanup_expired_session_context.sql.j2"

_WRITE = Preparation(
    before=departments("hr", "legal"),
    earlier={
        _TABLE: ["rm alembic/versions/tenant/0008_pronouns.py"],
        _BRANCH: [
            "fedschema downgrade --all --to tenant_0007_retention --yes",
            "rm alembic/versions/tenant/*meetings.py alembic/versions/tenant/tenant_*.py",
        ],
    },
    files={
        "-- Notes that the voice agent takes during a call.": _COLUMNS,
        "CREATE INDEX idx_meeting_notes_session_id ON {{ department.schema | ident }}.meeting_notes (session_id);": (
            "templates/tenant/meetings/meeting_notes_indexes.sql.j2"
        ),
        'COLUMN = {"table": "contacts", "column": "pronouns", "type": "varchar(50)"}': (
            Revision("tenant_0008_pronouns", "tenant_0008_meetings")
        ),
        'TYPE = {"table": "calendar_events", "column": "location", "type": "text", "was": "varchar(500)"}': (
            Revision("tenant_0009_location", "tenant_0008_pronouns")
        ),
        'NAMES = {"table": "calendar_events", "old": "location", "new": "place", "type": "varchar(500)"}': (
            Revision("tenant_0009_place", "tenant_0008_pronouns")
        ),
        "def upgrade() -> None:": Revision("tenant_0009_place_filled", "tenant_0009_place"),
        'contracts = "tenant_0009_place_filled"': Revision("tenant_0010_place", "tenant_0009_place_filled"),
        "CHECK = {": Revision("tenant_0011_check", "tenant_0010_place"),
        'NEW, OLD = "tenant/retention/cleanup_by_session", "tenant/retention/cleanup_expired_session_context"': (
            Revision("tenant_0012_cleanup", "tenant_0011_check")
        ),
        'ADD = "tenant/communication/contacts_notes_default"': Revision("tenant_0013_notes", "tenant_0012_cleanup"),
        "ALTER TABLE {{ department.schema | ident }}.contacts ALTER COLUMN notes SET DEFAULT '';": (
            "templates/tenant/communication/contacts_notes_default.sql.j2"
        ),
        "INDEX = {": Revision("tenant_0014_index", "tenant_0013_notes"),
        "CREATE INDEX idx_contacts_pronouns ON {{ department.schema | ident }}.contacts (pronouns);": (
            "templates/tenant/communication/idx_contacts_pronouns.sql.j2"
        ),
        "def upgrade() -> None: #2": Revision("tenant_0015_backfill", "tenant_0014_index"),
        "def upgrade() -> None: #3": Revision("tenant_0016_rooms", "tenant_0015_backfill"),
    },
    untried={
        "# fedschema: ignore[shared-object] only this department uses trigrams, and its server is its own": (
            "two lines of a revision; tests/review/test_suppressions.py lints such ones"
        ),
    },
    later={
        'TYPE = {"table": "calendar_events", "column": "location", "type": "text", "was": "varchar(500)"}': [
            "fedschema upgrade",
            "fedschema downgrade --all --to -1",
            "rm alembic/versions/tenant/tenant_0009_location.py",
        ],
        'contracts = "tenant_0009_place_filled"': [
            "fedschema upgrade --to tenant_0009_place_filled",
            "fedschema upgrade",
        ],
        'NEW, OLD = "tenant/retention/cleanup_by_session", "tenant/retention/cleanup_expired_session_context"': [
            f"cp {_FUNCTION} templates/tenant/retention/cleanup_by_session.sql.j2",
        ],
        "ALTER TABLE {{ department.schema | ident }}.contacts ALTER COLUMN notes SET DEFAULT '';": [
            written(
                "templates/tenant/communication/contacts_no_notes_default.sql.j2",
                "ALTER TABLE {{ department.schema | ident }}.contacts ALTER COLUMN notes DROP DEFAULT;\n",
            ),
            "fedschema upgrade",
            "fedschema downgrade --all --to -3",
        ],
        "def upgrade() -> None: #2": [
            "fedschema upgrade",
            "fedschema downgrade --all --to tenant_0014_index",
            "fedschema upgrade",
        ],
        "def upgrade() -> None: #3": [
            written("templates/tenant/meetings/rooms.sql.j2", _ROOMS),
            written(
                "templates/tenant/meetings/drop_rooms.sql.j2", "DROP TABLE {{ department.schema | ident }}.rooms;\n"
            ),
            written(
                "templates/tenant/meetings/count_rooms.sql.j2",
                """\
                CREATE FUNCTION {{ department.schema | ident }}.count_rooms() RETURNS bigint LANGUAGE sql
                    SET search_path = pg_catalog, pg_temp
                    BEGIN ATOMIC SELECT count(*) FROM {{ department.schema | ident }}.rooms; END;
                """,
            ),
            "fedschema upgrade",
            "fedschema downgrade --all --to -1",
            "fedschema upgrade",
            "fedschema validate",
        ],
    },
)

_CHECKOUT = "the reader's clone is the project that is typed in here"

_TUTORIAL = Preparation(
    place="embedded",
    files={"session_id varchar(100) NOT NULL,": _COLUMNS},
    answers={"fedschema downgrade --all --to tenant_0007_retention --on-error continue": "\n"},
    untried={
        "git clone <address of the repository> fedschema": _CHECKOUT,
        "cd fedschema": _CHECKOUT,
        "make demo": "half a minute, and CI runs it",
        ". .venv/bin/activate": _CHECKOUT,
        "fedschema server stop && rm -r .fedschema": "there was no `make demo` here",
    },
)

_DRIFT = Preparation(
    before=departments("hr", "legal", "sales"),
    earlier={
        "fedschema drift #2": [
            sql(
                "ADMIN",
                "DROP INDEX hr_tenant.idx_tool_calls_status; CREATE POLICY hr_x ON hr_tenant.contacts USING (true); "
                "ALTER TABLE hr_tenant.contacts ADD COLUMN mine text;",
            )
        ]
    },
    unlike=frozenset({"fedschema drift #2", "fedschema drift hr --repair"}),
)

PAGES = {
    "docs/how-to/find-drift.md": _DRIFT,
    "docs/how-to/own-project.md": _OWN_PROJECT,
    "docs/how-to/release-a-fleet.md": _RELEASE,
    "docs/how-to/roll-back.md": _ROLL_BACK,
    "docs/how-to/run-the-tests.md": Preparation(
        untried={
            "make test": SUITE,
            'make test ARGS="tests/tenancy -q"': SUITE,
            'make test WORKERS=0 ARGS="-k isolation"': SUITE,
            "FEDSCHEMA_TEST_BINDIR=/usr/lib/postgresql/15/bin make test": SUITE,
            "FEDSCHEMA_TEST_URL=postgresql://postgres:secret@127.0.0.1:5432/postgres make test": SUITE,
            "FEDSCHEMA_TEST_BINDIR=/usr/lib/postgresql/15/bin make test-programs": SUITE,
        }
    ),
    "docs/how-to/write-a-revision.md": _WRITE,
    "docs/tutorial/first-departments.md": _TUTORIAL,
    "fedschema/skeleton/README.md": _NEW_PROJECT,
}
