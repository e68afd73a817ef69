"""What a schema's catalogue holds, as data that can be compared: before and after a step, or between two departments.

Each object is one entry, ``"column tool_calls.status"`` or ``"policy isolation on contacts"``, with everything about it
that PostgreSQL would tell, so that a difference shows as the objects that differ. Left out is only what no statement
decides: object identifiers, sizes, the position of a sequence.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg

from fedschema.department import Department
from tests.conftest import Database

Catalogue = dict[str, tuple[Any, ...]]

#: A query for each kind of object: the first column names the object, the others describe it.
#: A privilege list that was never touched and one that says the default are the same, hence the coalesce.
_QUERIES = {
    "schema": """
        SELECT nspname, pg_get_userbyid(nspowner), obj_description(oid, 'pg_namespace'),
               ARRAY(SELECT item::text FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) AS item ORDER BY 1)
        FROM pg_namespace WHERE nspname = %(schema)s
    """,
    "relation": """
        SELECT relname, relkind::text, relpersistence::text, pg_get_userbyid(relowner), relrowsecurity,
               relforcerowsecurity, relreplident::text, reloptions, obj_description(c.oid, 'pg_class'),
               ARRAY(SELECT item::text FROM unnest(coalesce(relacl, acldefault(
                   CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) AS item ORDER BY 1)
        FROM pg_class AS c WHERE relnamespace = %(schema)s::regnamespace AND relkind NOT IN ('i', 'I')
    """,
    "column": """
        SELECT c.relname || '.' || attname,
               row_number() OVER (PARTITION BY c.oid ORDER BY attnum), format_type(atttypid, atttypmod), attnotnull,
               pg_get_expr(d.adbin, d.adrelid), attidentity::text, attgenerated::text, attcollation::regcollation::text,
               attstorage::text, attcompression::text, attacl::text, attoptions, col_description(c.oid, attnum)
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
          AND attnum > 0 AND NOT attisdropped
    """,
    "constraint": """
        SELECT conname || ' on ' || coalesce(c.relname, '-'), contype::text, pg_get_constraintdef(k.oid),
               convalidated, condeferrable, condeferred, connoinherit, obj_description(k.oid, 'pg_constraint')
        FROM pg_constraint AS k LEFT JOIN pg_class AS c ON c.oid = k.conrelid
        WHERE connamespace = %(schema)s::regnamespace
    """,
    "index": """
        SELECT i.relname || ' on ' || c.relname, pg_get_indexdef(i.oid), indisunique, indisprimary, indisvalid,
               indisready, indisclustered, indisreplident, obj_description(i.oid, 'pg_class')
        FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS c ON c.oid = x.indrelid
        WHERE i.relnamespace = %(schema)s::regnamespace
    """,
    "trigger": """
        SELECT tgname || ' on ' || c.relname, pg_get_triggerdef(t.oid), tgenabled::text,
               obj_description(t.oid, 'pg_trigger')
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = %(schema)s::regnamespace AND NOT tgisinternal
    """,
    "policy": """
        SELECT polname || ' on ' || c.relname, polcmd::text, polpermissive,
               ARRAY(SELECT pg_get_userbyid(role)::text FROM unnest(polroles) AS role ORDER BY 1),
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid),
               obj_description(p.oid, 'pg_policy')
        FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
        WHERE c.relnamespace = %(schema)s::regnamespace
    """,
    "function": """
        SELECT proname || '(' || pg_get_function_identity_arguments(oid) || ')', pg_get_functiondef(oid),
               prokind::text, pg_get_userbyid(proowner), obj_description(oid, 'pg_proc'),
               ARRAY(SELECT item::text FROM unnest(coalesce(proacl, acldefault('f', proowner))) AS item ORDER BY 1)
        FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace AND prokind <> 'a'
    """,
    "sequence": """
        SELECT c.relname, seqtypid::regtype::text, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle,
               (SELECT owner.relname || '.' || attname || ' ' || deptype::text
                FROM pg_depend
                JOIN pg_class AS owner ON owner.oid = refobjid
                JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
                WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('a', 'i'))
        FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid
        WHERE c.relnamespace = %(schema)s::regnamespace
    """,
    "view": """
        SELECT viewname, definition FROM pg_views WHERE schemaname = %(schema)s
    """,
    "default privilege": """
        SELECT pg_get_userbyid(defaclrole) || ' ' || defaclobjtype::text,
               ARRAY(SELECT item::text FROM unnest(defaclacl) AS item ORDER BY 1)
        FROM pg_default_acl WHERE defaclnamespace = %(schema)s::regnamespace
    """,
    # Whatever the others do not know about: types, operators, statistics, …
    "object": """
        SELECT what.type || ' ' || what.identity
        FROM pg_depend AS member, pg_identify_object(member.classid, member.objid, member.objsubid) AS what
        WHERE member.refclassid = 'pg_namespace'::regclass AND member.refobjid = %(schema)s::regnamespace
    """,
}

_ROLE = """
    SELECT rolname, rolcanlogin, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
           rolconnlimit, rolvaliduntil, shobj_description(r.oid, 'pg_authid'),
           ARRAY(SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = r.oid ORDER BY 1),
           ARRAY(SELECT d.datname || ': ' || s.setconfig::text
                 FROM pg_db_role_setting AS s LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
                 WHERE s.setrole = r.oid ORDER BY 1),
           rolconfig
    FROM pg_roles AS r WHERE rolname = %(role)s
"""


def describe(connection: psycopg.Connection, schema: str) -> Catalogue:
    """Return everything that there is in a schema, the schema itself included; nothing when there is none."""
    found: Catalogue = {}
    with connection.transaction():
        # Definitions then name every object with its schema, and pg_catalog's without.
        connection.execute("SET LOCAL search_path = pg_catalog")
        if connection.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() == (None,):
            return found
        for kind, query in _QUERIES.items():
            for name, *attributes in connection.execute(query.encode(), {"schema": schema}).fetchall():
                found[f"{kind} {name}"] = tuple(attributes)
    return found


def describe_department(connection: psycopg.Connection, department: Department) -> Catalogue:
    """Return a department's schema and role, with slots in the place of its own names, to compare with another's."""
    found = describe(connection, department.schema)
    for name, *attributes in connection.execute(_ROLE.encode(), {"role": department.role}).fetchall():
        found[f"role {name}"] = tuple(attributes)
    return {with_slots(key, department): with_slots(value, department) for key, value in found.items()}


def look(database: Database, department: str) -> Catalogue:
    """Describe a department over a connection of its own, as `describe_department` does."""
    with database.connect() as connection:
        return describe_department(connection, Department(department))


def with_slots(value: Any, department: Department) -> Any:
    """Put slots in the place of a department's schema, role and id, wherever they stand as whole words."""
    if isinstance(value, str):
        for name, slot in ((department.schema, "{schema}"), (department.role, "{role}"), (department.id, "{id}")):
            value = re.sub(rf"\b{name}\b", slot, value)
        return value
    if isinstance(value, tuple):
        return tuple(with_slots(item, department) for item in value)
    if isinstance(value, list):  # of privileges, roles, options: sorted, and the names decided how
        return sorted(with_slots(item, department) for item in value)
    return value


def names(catalogue: Catalogue, kind: str) -> set[str]:
    """Return the names of all objects of a kind: ``names(found, "relation")``."""
    return {key.removeprefix(f"{kind} ") for key in catalogue if key.startswith(f"{kind} ")}
