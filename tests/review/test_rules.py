"""Every rule is broken one at a time, in the ways people find around it; and what is allowed breaks none."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from fedschema.compiler import Compiler
from fedschema.errors import UnknownRevision
from fedschema.review import RULES, Level, review
from tests.conftest import PROJECT, ROOT
from tests.review.conftest import Bench

COLUMN = "sa.Column('n', sa.Text())"

RAW = {
    "op": "def upgrade():\n    op.add_column('things', sa.Column('n', sa.Text()), schema='x')",
    "renamed module": "from alembic import op as o\ndef upgrade():\n    o.drop_table('things')",
    "renamed operation": "from alembic.op import create_table as t\ndef upgrade():\n    t('x')",
    "dotted": "import alembic.op\ndef upgrade():\n    alembic.op.rename_table('a', 'b')",
    "getattr": "def upgrade():\n    getattr(op, 'create' + '_index')('i', 'things', ['note'])",
    "batch": "def upgrade():\n    with op.batch_alter_table('things') as b:\n        b.drop_column('note')",
    "invoke": "from alembic.operations.ops import DropTableOp\ndef upgrade():\n    op.invoke(DropTableOp('things'))",
    "context": "def upgrade():\n    op.get_context().impl.static_output('DROP TABLE things;')",
    "bind": "def upgrade():\n    sa.Table('x', sa.MetaData()).create(op.get_bind())",
    "never run": "def upgrade():\n    if op is None:\n        op.drop_table('things')\n    op.execute('SELECT 1')",
    "online": "online = True\ndef upgrade():\n    op.drop_table('things')",
    "bulk insert": "def upgrade():\n    op.bulk_insert(sa.table('things', sa.column('note')), [{'note': 'x'}])",
}


@pytest.mark.parametrize("way", RAW)
def test_raw_operation_is_found_whatever_it_is_called(bench: Bench, way: str) -> None:
    assert "raw-operation" in bench.rules("import sqlalchemy as sa\n" + RAW[way] + "\n")


def test_finding_says_where_it_is(bench: Bench) -> None:
    found = bench.found("\ndef upgrade():\n    op.execute_template('tenant/up')\n", {"tenant/up": "DROP TABLE other;"})

    (one,) = [one for one in found if one.rule == "unqualified-name"]
    text = (bench.root / "alembic/versions/tenant/0002_new.py").read_text().splitlines()
    assert one.file == "alembic/versions/tenant/0002_new.py"
    assert one.line is not None
    assert "tenant/up" in text[one.line - 1]
    assert (one.direction, one.statement, one.level) == ("upgrade", "DROP TABLE other;", Level.ERROR)
    assert "department.schema" in (one.mend or "")


SQL = {
    "CREATE TABLE MINE.open (id bigint)": "raw-table",
    "CREATE UNLOGGED TABLE MINE.open (id bigint)": "raw-table",
    "CREATE TABLE MINE.open AS SELECT 1 AS a": "raw-table",
    "SELECT 1 AS a INTO MINE.open": "raw-table",
    "DO $$ BEGIN EXECUTE 'CREATE TABLE MINE.open (id bigint)'; END $$": "raw-table",
    "DO $$ BEGIN CREATE TABLE open (id bigint); END $$": "raw-table",
    "ALTER TABLE things ADD COLUMN n text": "unqualified-name",
    "CREATE INDEX i ON things (note)": "unqualified-name",
    "UPDATE MINE.things SET note = t.note FROM things AS t": "unqualified-name",
    "DELETE FROM MINE.things USING other": "unqualified-name",
    "INSERT INTO MINE.things (note) SELECT note FROM (SELECT note FROM other) AS o": "unqualified-name",
    "WITH a AS (SELECT 1) INSERT INTO MINE.things (note) SELECT note FROM a, b": "unqualified-name",
    "COMMENT ON COLUMN things.note IS 'x'": "unqualified-name",
    "DROP INDEX idx_things": "unqualified-name",
    "DROP FUNCTION f()": "unqualified-name",
    "ALTER TABLE MINE.things ADD COLUMN o bigint REFERENCES others (id)": "unqualified-name",
    "ALTER TABLE MINE.things ALTER COLUMN note SET DEFAULT nextval('my_seq')": "unqualified-name",
    "SELECT 'things'::regclass": "unqualified-name",
    "CREATE TYPE mood AS ENUM ('sad')": "unqualified-name",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM things'": "unqualified-name",
    "DO $$ BEGIN INSERT INTO things (note) VALUES ('x'); END $$": "unqualified-name",
    "CREATE FUNCTION MINE.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM things; END $$": "unqualified-name",
    "CREATE FUNCTION MINE.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM things $$": "unqualified-name",
    "CREATE FUNCTION MINE.g() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; SELECT g()": "unqualified-name",
    "UPDATE hr_tenant.things SET note = ''": "foreign-schema",
    "UPDATE \"hr_tenant\".things SET note = ''": "foreign-schema",
    "CREATE VIEW MINE.v AS SELECT note FROM sales_tenant.things": "foreign-schema",
    "ALTER TABLE public.things ADD COLUMN n text": "foreign-schema",
    "ALTER TABLE app.things ADD COLUMN n text": "foreign-schema",
    "SELECT app.f(1)": "foreign-schema",
    "ALTER TABLE MINE.things ADD COLUMN n app.mood": "foreign-schema",
    "DO $$ BEGIN DELETE FROM hr_tenant.things; END $$": "foreign-schema",
    "DO $$ BEGIN EXECUTE format('DELETE FROM %I.things', 'hr_tenant'); END $$": "foreign-schema",
    "DO $$ BEGIN RAISE NOTICE '--'; DELETE FROM hr_tenant.things; END $$": "foreign-schema",
    "DO $$ BEGIN RAISE NOTICE '/*'; DELETE FROM things; RAISE NOTICE '*/'; END $$": "unqualified-name",
    "DO $$ BEGIN RAISE NOTICE '--'; SET LOCAL ROLE postgres; END $$": "session-state",
    "GRANT SELECT ON MINE.things TO hr_role": "foreign-role",
    "GRANT SELECT ON MINE.things TO PUBLIC": "foreign-role",
    "GRANT {{ department.role | ident }} TO bob": "foreign-role",
    "GRANT bob TO {{ department.role | ident }}": "foreign-role",
    "ALTER TABLE MINE.things OWNER TO bob": "foreign-role",
    "CREATE POLICY open ON MINE.things TO bob USING (true)": "foreign-role",
    "DO $$ BEGIN EXECUTE 'GRANT SELECT ON MINE.things TO bob'; END $$": "foreign-role",
    "SET ROLE federation_owner": "session-state",
    "SET LOCAL ROLE postgres": "session-state",
    "SET LOCAL ROLE federation_admin_role": "session-state",
    "SET SESSION AUTHORIZATION postgres": "session-state",
    "RESET ROLE": "session-state",
    "SET search_path = MINE": "session-state",
    "SET LOCAL search_path = MINE": "session-state",
    "SET statement_timeout = 0": "session-state",
    "DO $$ BEGIN EXECUTE format('DELETE FROM hr_tenant.%I', 'things'); END $$": "foreign-schema",
    "DO $$ BEGIN EXECUTE format('DELETE FROM legacy.%I', 'things'); END $$": "foreign-schema",
    "SELECT set_config('search_path', 'x', true)": "session-state",
    "SELECT pg_catalog.set_config('work_mem', '1GB', false)": "session-state",
    "DISCARD ALL": "session-state",
    "DO $$ BEGIN SET LOCAL ROLE postgres; END $$": "session-state",
    "SAVEPOINT a": "transaction-control",
    "DO $$ BEGIN COMMIT; END $$": "transaction-control",
    "CREATE ROLE bob": "shared-object",
    "CREATE SCHEMA other": "shared-object",
    "DROP SCHEMA MINE CASCADE": "shared-object",
    "CREATE EXTENSION pg_trgm": "shared-object",
    "ALTER DATABASE federation SET work_mem = '1GB'": "shared-object",
    "ALTER SYSTEM SET work_mem = '1GB'": "shared-object",
    "COMMIT": "not-compilable",
    "ALTER TABEL MINE.things": "syntax-error",
}


@pytest.mark.parametrize("sql", SQL)
def test_sql_that_breaks_a_rule_is_named_by_it(bench: Bench, sql: str) -> None:
    assert SQL[sql] in bench.sql_rules(f"{sql};\n")


ALLOWED = [
    "ALTER TABLE MINE.things ALTER COLUMN note SET DEFAULT ''",
    "UPDATE MINE.things AS t SET note = c.note FROM (SELECT note FROM MINE.things) AS c WHERE t.note = c.note",
    "WITH a AS (SELECT 1 AS n), b AS (SELECT n FROM a) DELETE FROM MINE.things AS t USING b WHERE t.note = b.n::text",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON MINE.things (lower(note))",
    "SET LOCAL ROLE federation_admin_role; UPDATE MINE.things SET note = ''; SET LOCAL ROLE federation_owner",
    "SET LOCAL work_mem = '64MB'",
    "SELECT relname FROM pg_class",
    "SELECT count(*), extract(epoch FROM now()), substring('a' FROM 1), trim(BOTH FROM 'a') FROM pg_catalog.pg_class",
    "REVOKE ALL ON MINE.things FROM PUBLIC",
    "GRANT SELECT ON MINE.things TO {{ department.role | ident }}, federation_admin_role",
    "COMMENT ON TABLE MINE.things IS 'see hr_tenants, CREATE TABLE x; DROP'",
    "DO $$ BEGIN /* it's not\n hr_tenant.things */ NULL; -- nor DELETE FROM things;\nEND $$",
    "-- CREATE TABLE open (id int);\nCOMMENT ON TABLE MINE.things IS 'it''s'",
    "DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_class) THEN UPDATE MINE.things SET note = 'x'; END IF; END $$",
    (
        "CREATE FUNCTION MINE.f() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS "
        "$$ BEGIN WITH x AS (SELECT 1) SELECT 1 FROM x; new.note := 'a'; RETURN new; END $$"
    ),
    "COMMENT ON COLUMN MINE.things.note IS 'x'",
    "DO $$ BEGIN EXECUTE format('DELETE FROM federation.%1$I WHERE true', 'security_audit'); END $$",
    "SELECT federation.assert_walls({{ department.id | literal }})",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_is_allowed_breaks_no_rule_of_ours(bench: Bench, sql: str) -> None:
    assert bench.sql_rules(f"{sql};\n") & RULES.keys() == set()


def test_table_with_its_walls_is_allowed(bench: Bench) -> None:
    body = """
    def upgrade():
        op.execute_template("tenant/up")
        op.enable_department_rls("open")

    def downgrade():
        op.disable_department_rls("open")
        op.execute_template("tenant/down")
    """
    schema = "{{ department.schema | ident }}"
    templates = {"tenant/up": f"CREATE TABLE {schema}.open (id bigint);", "tenant/down": f"DROP TABLE {schema}.open;"}

    assert bench.rules(body, templates) & RULES.keys() == set()


DOWNGRADES = {
    "pass": "def downgrade():\n    pass",
    "a text": "def downgrade():\n    '''Nothing to do.'''",
    "return": "def downgrade():\n    return",
    "a call that writes nothing": "def downgrade():\n    op.f('x')",
    "none": "down = None  # def downgrade",
    "an online one": "online = True\ndef downgrade():\n    pass",
}
UPGRADE = "def upgrade():\n    op.execute_template('tenant/up')\n\n\n"
UP = {"tenant/up": "COMMENT ON TABLE {{ department.schema | ident }}.things IS 'x';"}


@pytest.mark.parametrize("way", DOWNGRADES)
def test_downgrade_that_takes_nothing_back_is_found(bench: Bench, way: str) -> None:
    assert bench.rules(UPGRADE + DOWNGRADES[way] + "\n", UP) == {"no-downgrade"}


@pytest.mark.parametrize(
    "body",
    [
        UPGRADE + "def downgrade():\n    '''Rows are gone.'''\n    raise NotImplementedError('the rows are gone')\n",
        (
            "def upgrade():\n    op.backfill('things', assign='note = 1', where='note IS NULL')\n\n\n"
            "def downgrade():\n    '''Keep what was filled in.'''\n"
        ),
    ],
)
def test_downgrade_that_says_why_not_is_allowed(bench: Bench, body: str) -> None:
    assert bench.rules(body, UP) == set()


def test_downgrade_that_raises_without_a_reason_is_none(bench: Bench) -> None:
    assert bench.rules(UPGRADE + "def downgrade():\n    raise NotImplementedError\n", UP) == {"not-compilable"}


def test_upgrade_that_does_nothing_is_a_warning(bench: Bench) -> None:
    (one,) = bench.found("def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n")

    assert (one.rule, one.level) == ("empty-revision", Level.WARNING)


def test_revision_that_asks_the_database_is_not_compilable(bench: Bench) -> None:
    assert bench.rules("def upgrade():\n    op.get_bind().execute(op.f('SELECT 1')).scalar()\n") == {"not-compilable"}


def test_template_that_is_not_there_is_named(bench: Bench) -> None:
    (one,) = bench.found("def upgrade():\n    op.execute_template('tenant/mistyped')\n")

    assert (one.rule, "mistyped" in one.message) == ("template-missing", True)


def test_template_that_nobody_renders_is_named(bench: Bench) -> None:
    bench.template("tenant/left/over", "SELECT 1;")
    (one,) = bench.review().findings

    assert (one.rule, one.file) == ("template-unused", "templates/tenant/left/over.sql.j2")


def test_two_heads_are_found(bench: Bench) -> None:
    for name in ("tenant_0002_a", "tenant_0002_b"):
        bench.revision(UPGRADE + TAKES_BACK, name)
    bench.template("tenant/up", UP["tenant/up"])

    assert {one.rule for one in bench.review().findings} == {"several-heads"}


TAKES_BACK = "def downgrade():\n    op.execute_template('tenant/up')\n"


def test_control_plane_may_do_what_a_department_may_not(bench: Bench) -> None:
    up, down = "op.execute('CREATE EXTENSION pg_trgm SCHEMA federation')", "op.execute('DROP EXTENSION pg_trgm')"
    body = f"def upgrade():\n    {up}\n\n\ndef downgrade():\n    {down}\n"
    bench.revision(body, "federation_0002_trigrams", "federation_0001_notes")

    assert {one.rule for one in bench.review().findings} & RULES.keys() == set()


def test_control_plane_names_no_department(bench: Bench) -> None:
    body = "def upgrade():\n    op.execute('DELETE FROM hr_tenant.things')\n\n\n" + TAKES_BACK
    bench.revision(body, "federation_0002_hr", "federation_0001_notes")
    bench.template("tenant/up", "SELECT 1;")

    assert "foreign-schema" in {one.rule for one in bench.review().findings}


def test_squawk_judges_what_will_run(bench: Bench) -> None:
    sql = "ALTER TABLE MINE.things ALTER COLUMN note SET NOT NULL"
    assert bench.sql_rules(f"{sql};\n") == {"adding-not-nullable-field"}
    assert bench.sql_rules(f"-- squawk-ignore adding-not-nullable-field\n{sql};\n") == set()


def test_downgrade_may_drop_what_the_upgrade_made(bench: Bench) -> None:
    body = UPGRADE + "def downgrade():\n    op.execute_template('tenant/down')\n"
    schema = "{{ department.schema | ident }}"
    templates = {"tenant/up": f"CREATE VIEW {schema}.v AS SELECT 1 AS a;", "tenant/down": f"DROP TABLE {schema}.t;"}

    assert bench.rules(body, templates) == set()


def test_revisions_of_ours_break_no_rule_and_are_what_was_released() -> None:
    seen = review(Compiler(PROJECT), every=True)

    assert seen.findings == ()
    assert {one.revision for one in seen.library.readings} == seen.released == set(seen.looked_at)
    assert len(seen.looked_at) >= 8


def test_named_revisions_are_found_by_what_their_ids_begin_with(bench: Bench) -> None:
    assert bench.review("tenant_0001").looked_at == ("tenant_0001_things",)
    for wrong in ("tenant_9", ""):
        with pytest.raises(UnknownRevision):
            bench.review(wrong)


def test_table_of_rules_is_the_rules() -> None:
    page = (ROOT / "docs/reference/lint-rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning) \| ([^|]+) \|$", page, re.MULTILINE)

    assert [(name, level) for name, level, _ in rows] == [(rule.name, rule.level.value) for rule in RULES.values()]
    assert [about for _, _, about in rows] == [_sentence(rule.about) for rule in RULES.values()]


def _sentence(text: str) -> str:
    return dedent(text)[0].upper() + text[1:] + "."
