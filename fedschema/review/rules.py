"""The rules of `fedschema lint`: their names, how grave a breach is, and what one is called when it is found.

An *error* does not run, or runs and breaks a wall, another department or a release that is out. A *warning* is about
what runs and is regretted later. Rules of squawk come besides, by the names and levels that squawk gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How grave a finding is: only an error makes the command fail."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: as it is shown, and named where it is suppressed.
        level: how grave a breach is.
        about: what is looked for.
        mend: what to do about a breach.
        suppressible: a comment with a reason can allow a breach.
    """

    name: str
    level: Level
    about: str
    mend: str
    suppressible: bool = True

    def broken(  # noqa: PLR0913, PLR0917 - where something is
        self,
        message: str,
        revision: str | None = None,
        file: str | None = None,
        line: int | None = None,
        direction: str | None = None,
        statement: str | None = None,
    ) -> Finding:
        """Return a breach of it; the arguments are those of `Finding`."""
        return Finding(self.name, self.level, message, self.mend, revision, file, line, direction, statement)


def _error(name: str, about: str, mend: str, *, suppressible: bool = True) -> Rule:
    return Rule(name, Level.ERROR, about, mend, suppressible)


def _warning(name: str, about: str, mend: str, *, suppressible: bool = True) -> Rule:
    return Rule(name, Level.WARNING, about, mend, suppressible)


NOT_COMPILABLE = _error(
    "not-compilable",
    "the revision cannot be run without a database, or would end its own transaction",
    "mend the revision, or set online = True in it if it has to read from the database",
    suppressible=False,
)
TEMPLATE_MISSING = _error(
    "template-missing",
    "it names a template that is not there",
    "write the template, or correct its name",
    suppressible=False,
)
TEMPLATE_UNUSED = _warning(
    "template-unused",
    "no revision renders the template",
    "remove the template, or name it in a revision",
    suppressible=False,
)
SEVERAL_HEADS = _error(
    "several-heads",
    "two revisions of a lineage follow the same one, so that head means nothing",
    "let one of them follow the other: change its down_revision",
    suppressible=False,
)
RAW_OPERATION = _error(
    "raw-operation",
    "Alembic's own operation on a table, or SQL that no operation wrote: it finds no department's schema, and no walls",
    "use fedschema's operations, or op.execute_template",
)
RAW_TABLE = _error(
    "raw-table",
    "a table is made without its walls in the same revision",
    "make it with op.create_tenant_table or op.create_tenant_tables, or wall it with op.enable_department_rls",
)
UNQUALIFIED_NAME = _error(
    "unqualified-name",
    "a name has no schema, and migrations run with search_path = pg_catalog, pg_temp",
    "put the schema before it: {{ department.schema | ident }}.name",
)
FOREIGN_SCHEMA = _error(
    "foreign-schema",
    "a schema is named that is neither the department's own nor the platform's, or the department's is written out",
    "write {{ department.schema | ident }}; what departments share goes through the control plane",
)
FOREIGN_ROLE = _error(
    "foreign-role",
    "a privilege, an owner or a policy is PUBLIC's, or a role's that is neither the department nor the platform",
    "leave grants to the operations, or name {{ department.role | ident }}",
)
SESSION_STATE = _error(
    "session-state",
    "the session's role, search_path or settings are changed, which the next department would find",
    "SET LOCAL, and of roles only federation_admin_role, with SET LOCAL ROLE federation_owner after it",
)
TRANSACTION_CONTROL = _error(
    "transaction-control",
    "a savepoint, COMMIT or ROLLBACK: a department moves in one transaction",
    "leave it out; what takes long has operations of its own",
)
SHARED_OBJECT = _error(
    "shared-object",
    "a department's revision changes a role, a schema, an extension or something else that all departments have",
    "put it into a revision of the control plane",
)
NO_DOWNGRADE = _error(
    "no-downgrade",
    "the downgrade is missing, or does nothing although the upgrade does something",
    "take back what upgrade does, or raise NotImplementedError with the reason",
)
EMPTY_REVISION = _warning("empty-revision", "the upgrade does nothing", "fill it in, or delete the revision")
RELEASED_EDITED = _error(
    "released-edited",
    "a released revision, or a template that it renders, does something else than when it was released",
    "undo the edit, and write what you want as a new revision with templates of its own",
    suppressible=False,
)
RELEASED_REWORDED = _warning(
    "released-reworded",
    "the code of a released revision is another, with the same SQL",
    "undo the edit unless it was meant",
    suppressible=False,
)
RELEASED_MISSING = _error(
    "released-missing",
    "a released revision is not there any more, or one is released and what it builds on is not",
    "bring the revision back, or release what comes before it: fedschema lint --release",
    suppressible=False,
)
RELEASED_UNREADABLE = _error(
    "released-unreadable",
    "the record of a release cannot be read",
    "take it from the repository again: git checkout -- alembic/released",
    suppressible=False,
)
APPLIED_OTHERWISE = _warning(
    "applied-otherwise",
    "a department got other SQL from the revision than there is now, if only in a comment",
    "fedschema drift says whether the department is another because of it",
    suppressible=False,
)
SUPPRESSION = _error(
    "suppression",
    "a comment that suppresses a rule has no reason, names no rule, or suppresses nothing",
    "write # fedschema: ignore[rule] and the reason, or take the comment away",
    suppressible=False,
)

RULES = {
    rule.name: rule
    for rule in (
        RAW_OPERATION,
        RAW_TABLE,
        UNQUALIFIED_NAME,
        FOREIGN_SCHEMA,
        FOREIGN_ROLE,
        SESSION_STATE,
        TRANSACTION_CONTROL,
        SHARED_OBJECT,
        NO_DOWNGRADE,
        EMPTY_REVISION,
        NOT_COMPILABLE,
        SEVERAL_HEADS,
        TEMPLATE_MISSING,
        TEMPLATE_UNUSED,
        RELEASED_EDITED,
        RELEASED_REWORDED,
        RELEASED_MISSING,
        RELEASED_UNREADABLE,
        APPLIED_OTHERWISE,
        SUPPRESSION,
    )
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a rule.

    Attributes:
        rule: the rule's name.
        level: how grave it is.
        message: what was found.
        mend: what to do about it, or None.
        revision: the revision's id; None for what is nobody's.
        file: where it is, below the project; None where no file is to blame.
        line: the line of the file, from 1; None for the whole file.
        direction: ``upgrade`` or ``downgrade``; None for both.
        statement: the beginning of the statement; None when it is about no statement.
    """

    rule: str
    level: Level
    message: str
    mend: str | None
    revision: str | None = None
    file: str | None = None
    line: int | None = None
    direction: str | None = None
    statement: str | None = None
