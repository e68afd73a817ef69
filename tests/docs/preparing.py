"""What a page presupposes, said once for each page: see `preparations`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NAMES = {"hr": "Human Resources", "legal": "Legal Department", "sales": "Sales"}

#: A table's template, and the body of the revision that makes it.
MEETINGS = """\
    CREATE TABLE {{ department.schema | ident }}.meeting_notes (
        id uuid NOT NULL DEFAULT gen_random_uuid(),
        department varchar(100) NOT NULL DEFAULT {{ department.id | literal }},
        note text,
        CONSTRAINT meeting_notes_pkey PRIMARY KEY (id),
        CONSTRAINT meeting_notes_department_check CHECK (department = {{ department.id | literal }})
    );
"""

#: Why `make test` is not typed.
SUITE = "it would run the suite inside itself; what `make` and CI run is this suite"

MADE = """\
TABLES = {"family": "meetings", "private": ("meeting_notes",)}


def upgrade() -> None:
    op.create_tenant_tables(**TABLES)


def downgrade() -> None:
    op.drop_tenant_tables(**TABLES)
"""

Typed = Sequence[str]


@dataclass(frozen=True)
class Revision:
    """A block of Python is a revision's body: it goes into a file of this id below those of the tenant lineage.

    Attributes:
        id: the revision's id.
        after: the id of the one before.
    """

    id: str
    after: str

    def file(self, body: str) -> tuple[str, str]:
        head = f'"""A revision of the page."""\n\nfrom alembic import op\n\nrevision = "{self.id}"\n'
        return f"alembic/versions/tenant/{self.id}.py", f'{head}down_revision = "{self.after}"\n\n{body}'


@dataclass(frozen=True)
class Preparation:
    """How a page is typed. A step is named by its first line, the second of that name with ` #2` behind it.

    Attributes:
        before: typed before the page begins.
        earlier: typed before a step; what the page says in words, or presupposes.
        later: typed after a step.
        answers: what is typed when a step asks.
        connection: the shell's variable with the URL for blocks of SQL; ADMIN is the superuser's.
        connections: the same for a single block.
        files: where a block is put: a path, what follows `|` and the text that begins there being replaced; or a
            revision.
        instead: texts of the page that are typed otherwise, such as an address.
        unordered: steps whose lines may come in another order.
        unlike: steps that end with 1 and no error: what they looked for is not so.
        untried: steps that are not typed, with the reason.
        mentions: the heading of a table whose commands are typed too, before all else.
        place: where it is typed: a new ``project``, an empty ``directory``, or a project with the ``embedded`` server.
        own_server: on a server that nobody has used before.
    """

    before: Typed = ()
    earlier: Mapping[str, Typed] = field(default_factory=dict)
    later: Mapping[str, Typed] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    connection: str = "ADMIN"
    connections: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | Revision] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    unordered: frozenset[str] = frozenset()
    unlike: frozenset[str] = frozenset()
    untried: Mapping[str, str] = field(default_factory=dict)
    mentions: str = ""
    place: str = "project"
    own_server: bool = False

    def names(self) -> set[str]:
        """Every step that it names."""
        named = (self.earlier, self.later, self.answers, self.connections, self.files, self.untried)
        return {name for each in named for name in each} | self.unordered | self.unlike


def departments(*ids: str) -> list[str]:
    """Make the control plane and departments; HR, LEGAL and so on become their roles' URLs."""
    rows = "\n".join(["department_id,name", *(f"{id_},{NAMES.get(id_, '')}" for id_ in ids)])
    return [
        "fedschema init",
        f"cat > .fleet.csv <<'END'\n{rows}\nEND",
        "fedschema tenant add --from .fleet.csv --password-dir .given",
        *(f'{id_.upper()}="postgresql://{id_}_role:$(cat .given/{id_}.password)@$SERVER"' for id_ in ids),
    ]


def rows(*ids: str) -> list[str]:
    """Give departments the rows of the demo."""
    return [f'psql -q "${id_.upper()}" -f templates/demo/{id_}.sql.j2' for id_ in ids]


def sql(connection: str, statements: str) -> str:
    """Return a command that runs SQL."""
    return f"psql -q -v ON_ERROR_STOP=1 \"${connection}\" <<'END'\n{statements}\nEND"


def written(path: str, text: str) -> str:
    """Return a command that writes a file."""
    return f"mkdir -p \"$(dirname {path})\" && cat > {path} <<'END'\n{textwrap.dedent(text).lstrip()}END"


def asked(source: str, statement: str) -> str:
    """Return a command by which the gateway asks in the name of a department."""
    claim = f"SET ROLE cross_dept_query_role; SELECT set_config('app.source_department', '{source}', false);"
    return sql("GATEWAY", f"{claim} {statement}")


def gateway(login: str, *ids: str) -> list[str]:
    """Make a gateway; GATEWAY becomes its URL."""
    entitled = " ".join(f"--department {id_}" for id_ in ids)
    return [
        f"fedschema gateway add {login} {entitled} --password-file .given/{login}.password",
        f'GATEWAY="postgresql://{login}:$(cat .given/{login}.password)@$SERVER"',
    ]


def revision(new: Revision, body: str) -> str:
    """Return a command that writes a revision."""
    path, text = new.file(body)
    return written(path, text)


#: The departments of the demo with their rows.
DEMO = [*departments("hr", "legal", "sales"), *rows("hr", "legal", "sales")]
