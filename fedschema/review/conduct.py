"""What statements do beside changing tables: to the session, the transaction, other roles, and what all share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fedschema import statements as texts
from fedschema.review import trees
from fedschema.review.grounds import Breach, Ground, bodies
from fedschema.review.rules import FOREIGN_ROLE, SESSION_STATE, SHARED_OBJECT, TRANSACTION_CONTROL
from fedschema.review.trees import Node, Statement

_OWNER = "federation_owner"
_ROLES_TO_BECOME = frozenset({_OWNER, "federation_admin_role"})
_SESSION = frozenset({"SET_SESSION_AUTH", "RESET_SESSION_AUTH", "RESET_ROLE", "RESET", "DISCARD", "LISTEN", "UNLISTEN"})
_SETTINGS = frozenset({"search_path", "role", "session_authorization", "row_security"})
_TRANSACTION = re.compile(r"(?:SAVEPOINT|RELEASE|ROLLBACK|COMMIT|BEGIN|START|PREPARE)\w*")
_SHARED = re.compile(
    r"(?:CREATE|ALTER|DROP)_(?:ROLE|USER|GROUP|SCHEMA|DATABASE|TABLESPACE|EXTENSION|SYSTEM|PUBLICATION|SUBSCRIPTION|SERVER"
    r"|FOREIGN_DATA_WRAPPER|EVENT_TRIGGER|LANGUAGE|CAST|OWNED|DEFAULT_PRIVILEGES|USER_MAPPING)|REASSIGN(?:_OWNED)?"
    r"|IMPORT_FOREIGN_SCHEMA|SECURITY_LABEL"
)

_SET_IN_BODY = re.compile(
    r"(?:\A|;|'|\b(?:BEGIN|THEN|LOOP|ELSE))\s*(?:SET|RESET)\s+(?:SESSION\s+|LOCAL\s+)?"
    r"(?:ROLE|SESSION\s+AUTHORIZATION|search_path|ALL|row_security)\b|set_config\s*\(\s*'(?:search_path|role)'",
    re.IGNORECASE,
)
_END_IN_BODY = re.compile(r"(?:;|'|\b(?:BEGIN|THEN|LOOP|ELSE))\s*(?:COMMIT|ROLLBACK)\s*(?:;|'|AND\b)", re.IGNORECASE)


def breaches(statement: Statement, ground: Ground) -> Iterator[Breach]:
    """Yield what is wrong with what a statement does."""
    node = statement.node
    if _TRANSACTION.fullmatch(node.kind):
        yield TRANSACTION_CONTROL, "a revision ends, begins or divides no transaction"
    if ground.is_department and _SHARED.fullmatch(node.kind):
        yield SHARED_OBJECT, f"{node.kind.replace('_', ' ')} is about what all departments have"
    yield from _of_session(node)
    if node.kind != "SET_ROLE":  # its own rule says which
        yield from _of_roles(node, ground)
    if node.kind == "DO":
        for body in bodies(node):
            yield from _of_body(texts.without_comments(body))


def unfinished(statements: Sequence[Statement]) -> Statement | None:
    """Return the statement that leaves a script with another role than the owner's; None when none does."""
    becoming = [one for one in statements if one.node.kind == "SET_ROLE"]
    return becoming[-1] if becoming and _role_of(becoming[-1].node) != _OWNER else None


def _of_session(node: Node) -> Iterator[Breach]:
    if node.kind in _SESSION:
        yield SESSION_STATE, "the session is shared by the departments of a release"
    elif node.kind == "SET_ROLE":
        if not _is_local(node):
            yield SESSION_STATE, "SET ROLE without LOCAL outlasts the transaction"
        elif (role := _role_of(node)) not in _ROLES_TO_BECOME:
            yield SESSION_STATE, f"a revision becomes no {role or 'other role'}"
    elif node.kind == "SET":
        name = next(
            (one.segments[-1] for one in node.walk() if one.is_name and one.segments), node.text.split()[1].lower()
        )
        if name in _SETTINGS:
            yield SESSION_STATE, f"{name} is what keeps names and rows apart"
        elif not _is_local(node):
            yield SESSION_STATE, "SET without LOCAL outlasts the transaction"
    elif any(_sets(call) for call in node.all_of("CALL_EXPR")):
        yield SESSION_STATE, "set_config changes what keeps names and rows apart, or outlasts the transaction"


def _sets(call: Node) -> bool:
    """Tell whether a call changes a setting that a revision leaves alone."""
    text = call.text.lower()
    if not re.match(r"(?:pg_catalog\s*\.\s*)?set_config\s*\(", text):
        return False
    named = re.search(r"\(\s*'([\w.]+)'", text)
    return named is None or named[1] in _SETTINGS or not re.search(r",\s*true\s*\)\s*\Z", text)


def _is_local(node: Node) -> bool:
    return any(True for _ in node.all_of("LOCAL_SCOPE", "LOCAL_KW"))


def _role_of(node: Node) -> str | None:
    return next((trees.identifier(one.text) for one in node.all_of("ROLE_REF")), None)


def _of_roles(node: Node, ground: Ground) -> Iterator[Breach]:
    about_objects = any(True for _ in node.all_of("ON_PRIVILEGE_OBJECTS_CLAUSE"))
    for reference in node.all_of("ROLE_REF"):
        if about_objects and reference.parent and reference.parent.kind == "REVOKE_COMMAND":
            continue  # a privilege's name, which is written as a role's
        role = trees.identifier(reference.text)
        if role == "public":
            if node.kind != "REVOKE":
                yield FOREIGN_ROLE, "PUBLIC is everybody who can connect, of whatever department"
        elif any(child.kind == "ROLE_NAME_REF" for child in reference.children) and not ground.may_name_role(role):
            yield FOREIGN_ROLE, f"role {role} is not the department's, nor the platform's"


def _of_body(body: str) -> Iterator[Breach]:
    if _SET_IN_BODY.search(body):
        yield SESSION_STATE, "a DO block changes the role or the search_path"
    if _END_IN_BODY.search(body):
        yield TRANSACTION_CONTROL, "a DO block ends the transaction"
