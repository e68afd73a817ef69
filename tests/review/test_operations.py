"""The operations of fedschema break none of its rules, whichever is used, in either direction."""

from __future__ import annotations

from fedschema.review import RULES
from tests.review.conftest import Bench

SCHEMA = "{{ department.schema | ident }}"
FUNCTION = f"CREATE FUNCTION {SCHEMA}.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\n"
CHECK = "'things', 'c', 'CHECK (years > note)'"
NAMES = "'things', 'age', 'years', 'text'"
INDEX = "'i', table='things', template='tenant/new/i'"
PAIRS = [
    ("table", "create_tenant_table", "drop_tenant_table", "'more', columns='tenant/things/columns'"),
    ("column", "add_tenant_column", "drop_tenant_column", "'things', 'age', 'varchar(9)'"),
    ("wider", "widen_tenant_column", "narrow_tenant_column", "'things', 'age', 'text', was='varchar(9)'"),
    ("expand", "expand_tenant_column", "unexpand_tenant_column", NAMES),
    ("fill", "backfill", "backfill", "'things', assign='years = age', where='years IS NULL AND age IS NOT NULL'"),
    ("contract", "contract_tenant_column", "uncontract_tenant_column", NAMES),
    ("check", "add_tenant_constraint", "drop_tenant_constraint", CHECK),
    ("valid", "validate_tenant_constraint", "unvalidate_tenant_constraint", CHECK),
    ("function", "create_tenant_function", "drop_tenant_function", "'new', 'f'"),
    ("other", "replace_tenant_function", "replace_tenant_function", "'f', template='tenant/new/g', was='tenant/new/f'"),
    ("index", "create_index_concurrently", "drop_index_concurrently", INDEX),
]


def test_operations_break_no_rule(bench: Bench) -> None:
    bench.template("tenant/new/f", FUNCTION)
    bench.template("tenant/new/g", FUNCTION.replace("1 $$", "2 $$"))
    bench.template("tenant/new/i", f"CREATE INDEX i ON {SCHEMA}.things (years);\n")
    before = "tenant_0001_things"
    for number, (name, up, down, words) in enumerate(PAIRS, 2):
        revision = f"tenant_{number:04}_{name}"
        body = f"def upgrade():\n    op.{up}({words})\n\n\ndef downgrade():\n    op.{down}({words})\n"
        bench.revision(body, revision, before)
        before = revision

    seen = bench.review()
    assert [str(one) for one in seen.findings if one.rule in RULES] == []
    assert len(seen.looked_at) == len(PAIRS) + 2
