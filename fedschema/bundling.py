"""What all bundles are made of: rows, a manifest, and scripts by which psql alone brings them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import psycopg
from psycopg import sql

from fedschema import batches, bundles, contents
from fedschema.bundles import BundleWriter, Kind, Manifest, Table
from fedschema.compiler import Compiler
from fedschema.connections import BECOME_OWNER
from fedschema.contents import Digest, Line, Shape
from fedschema.encryption import Key
from fedschema.errors import BundleNotWritten

Read = Callable[[Callable[[Line], object]], Digest]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")

_README = """\
This is a bundle of fedschema {version}: {what}, as of {moment}.

{fedschema}
Without fedschema, with psql and PostgreSQL {major} or newer, as a superuser, in an empty directory and database:

    unzip THIS_FILE
    psql -v ON_ERROR_STOP=1 -f control_plane.sql{schema} -f load.sql RECOVERED

manifest.json says how many rows each table has, and the SHA-256 of each file. data/*.copy are rows as COPY writes
text in UTF-8; load.sql names their columns. A department's column "department" is not among them: it is the id.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A bundle that was written.

    Attributes:
        path: the file.
        manifest: what is in it.
        bytes: its size.
        sha256: of the file.
        encrypted: it is under a key.
    """

    path: Path
    manifest: Manifest
    bytes: int
    sha256: str
    encrypted: bool


def stamp(moment: datetime) -> str:
    """Return a moment as names of files have it."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def file_name(name: str, key: Key | None) -> str:
    """Return what a bundle is called, so that one sees what opens it."""
    return f"{name}.zip{'.sealed' if key else ''}"


def written(path: Path, key: Key | None, fill: Callable[[BundleWriter], Manifest]) -> Written:
    """Write a bundle; under its name there is all of it, or nothing.

    Args:
        path: the file.
        key: what it is encrypted under, if under anything.
        fill: writes the members and returns the manifest, but for the list of members.

    Raises:
        BundleNotWritten, and what `fill` raises
    """
    with bundles.whole_file(path) as file:
        with bundles.writing(file, key) as writer:
            manifest = fill(writer)
            writer.text("README.txt", _readme(manifest))
            manifest = replace(manifest, files=writer.files)
            writer.end(manifest)
        _require_readable(file, key, path, manifest)
        sha256 = bundles.sha256_of(file)
        size = file.tell()
    return Written(path, manifest, size, sha256, key is not None)


def _require_readable(file: BinaryIO, key: Key | None, path: Path, manifest: Manifest) -> None:
    """Read back what was written, before anybody relies on it."""
    with bundles.opened_file(file, key, str(path)) as bundle:
        bundle.check()
        if bundle.manifest != manifest:
            raise BundleNotWritten(str(path), "it does not read as it was written")


def table(writer: BundleWriter, shape: Shape, read: Read) -> Table:
    """Write the rows of a table into a member of their own."""
    plain = shape.name if _PLAIN.issuperset(shape.name) else f"table_{len(writer.files)}"
    name = f"data/{plain}.copy"
    with writer.member(name) as member:
        digest = read(member.write)
    return Table(shape.name, shape.columns, digest.rows, digest.hex, name)


def scripts(writer: BundleWriter, compiler: Compiler) -> None:
    """Write what makes the control plane, on which everything else stands."""
    plan = compiler.upgrade(None, (), "head")
    script = batches.as_script(batches.control_plane(compiler.templates, plan), as_owner=False)
    writer.text("control_plane.sql", script)


def load_script(connection: psycopg.Connection, schema: str, tables: Sequence[Table], *, replacing: bool) -> str:
    """Return what loads a bundle's rows by psql, as fedschema does.

    Args:
        connection: inside an owner's transaction.
        schema: whose rows they are.
        tables: what was written.
        replacing: there are rows already, which are to go.
    """
    needed = contents.making(connection, schema)
    lines = ["BEGIN;", "SET LOCAL client_encoding = 'UTF8';", *_each(BECOME_OWNER), *_each(contents.PORTABLE)]
    lines += [f"{statement};" for statement in needed.before]
    if replacing:
        lines += [f"DELETE FROM {_named(connection, schema, one.name)};" for one in tables]  # noqa: S608 - quoted
    for one in tables:
        columns = sql.SQL(", ").join(map(sql.Identifier, one.columns)).as_string(connection)
        lines.append(f"\\copy {_named(connection, schema, one.name)} ({columns}) FROM '{one.file}'")
    lines += [f"{statement};" for statement in needed.after]
    for sequence in contents.sequences(connection, schema):
        call = sql.SQL("SELECT pg_catalog.setval({}, {}, {});").format(
            _named(connection, schema, sequence.name), sequence.last_value, sequence.is_called
        )
        lines.append(call.as_string(connection))
    return "\n".join([*lines, "COMMIT;", ""])


def _each(statements: str) -> list[str]:
    return [f"{statement};" for statement in statements.split("; ")]


def _named(connection: psycopg.Connection, schema: str, name: str) -> str:
    return sql.Identifier(schema, name).as_string(connection)


def _readme(manifest: Manifest) -> str:
    name = manifest.department_id
    one = manifest.kind is Kind.DEPARTMENT
    return _README.format(
        version=manifest.fedschema,
        what=f"department {name}" if one else "the control plane of a federation",
        moment=f"{manifest.made_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        fedschema=f"With fedschema: fedschema tenant restore {name} --from THIS_FILE"
        if one
        else "With fedschema: fedschema backup restore, with the bundles of the departments beside it",
        major=manifest.major,
        schema=" -f schema.sql" if one else "",
    )
