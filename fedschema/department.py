"""A department: the one value that everything else is about, parsed once at the edge.

The raw text that a user typed dies in `Department.parse`. From there on a `Department` travels, and its schema and its
role are derived here and nowhere else.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from fedschema.errors import InvalidDepartmentId, InvalidDepartmentName, InvalidEmail

SCHEMA_SUFFIX = "_tenant"
ROLE_SUFFIX = "_role"

#: PostgreSQL cuts longer names silently (NAMEDATALEN - 1, manual section "Identifiers and Key Words").
NAME_BYTES = 63
MAX_ID_LENGTH = NAME_BYTES - max(len(SCHEMA_SUFFIX), len(ROLE_SUFFIX))
MAX_TEXT_LENGTH = 255

_ID = re.compile(r"[a-z][a-z0-9_]*")

#: Words with a meaning of their own: schemas and roles of the platform and of PostgreSQL, and the symbols and labels
#: that Alembic reads in front of an ``@``.
_RESERVED_IDS = frozenset(
    {"public", "information_schema", "federation", "tenant", "departments", "head", "heads", "base", "current"}
)
#: Prefixes under which the platform keeps names of its own (federation_admin → federation_admin_role, …).
_RESERVED_PREFIXES = ("federation_", "cross_dept")


#: Zero-width joiner and non-joiner: parts of words in some scripts, and of emoji.
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True, order=True)
class Department:
    """One department, named by its id.

    Attributes:
        id: the slug, such as ``legal``; it obeys `Department.parse`.
    """

    id: str

    @classmethod
    def parse(cls, text: str) -> Department:
        """Turn what somebody typed into a department.

        Args:
            text: the id as typed; nothing is stripped or folded, since what is stored must be what was meant.

        Raises:
            InvalidDepartmentId: with the reason and, where one can be guessed, an id that would do.
        """
        if reason := _objection(text):
            suggestion = _suggest(text)
            raise InvalidDepartmentId(text, reason, None if _objection(suggestion) else suggestion)
        return cls(text)

    @property
    def schema(self) -> str:
        """The schema that holds the department's tables."""
        return self.id + SCHEMA_SUFFIX

    @property
    def role(self) -> str:
        """The login role that the department's services use."""
        return self.id + ROLE_SUFFIX

    @property
    def default_name(self) -> str:
        """A display name for when none was given: ``human_resources`` → ``Human Resources``."""
        return self.id.replace("_", " ").strip().title()

    def __str__(self) -> str:
        return self.id


def _objection(text: str) -> str | None:
    """Say why `text` cannot be an id, or None when it can."""
    if not text:
        return "it is empty"
    if not _ID.fullmatch(text):
        return "it must begin with a letter a-z and hold only a-z, 0-9 and _"
    if len(text) > MAX_ID_LENGTH:
        return f"it has {len(text)} characters and at most {MAX_ID_LENGTH} leave room for {SCHEMA_SUFFIX!r}"
    if (text + "_").startswith("pg_"):
        return "PostgreSQL keeps names that begin with pg_ to itself"
    if text in _RESERVED_IDS or text.startswith(_RESERVED_PREFIXES):
        return "the name is the platform's own"
    return None


def _suggest(text: str) -> str:
    """Guess the id that was meant: fold accents and capitals, turn everything else into single underscores."""
    decomposed = unicodedata.normalize("NFKD", text)
    if any(character.isalpha() and not character.isascii() for character in decomposed):
        return ""  # a letter without a Latin one in it: whatever is left would be another word
    folded = decomposed.encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", folded).strip("_")[:MAX_ID_LENGTH].rstrip("_")
    if slug and not slug[0].isalpha():
        slug = f"d{slug}"[:MAX_ID_LENGTH]
    if _objection(slug) and slug:
        slug = f"dept_{slug}"[:MAX_ID_LENGTH].rstrip("_")
    return slug


def parse_name(text: str) -> str:
    """Check a display name and return it without surrounding spaces.

    Raises:
        InvalidDepartmentName: when it is empty, longer than its column, or would break a line of a log.
    """
    name = text.strip()
    if not name:
        raise InvalidDepartmentName("is empty")
    if len(name) > MAX_TEXT_LENGTH:
        raise InvalidDepartmentName(f"has {len(name)} characters, at most {MAX_TEXT_LENGTH} fit")
    if any(_breaks_a_line(character) for character in name):
        raise InvalidDepartmentName("holds a line break or another control character")
    return name


def _breaks_a_line(character: str) -> bool:
    """Tell whether a character would end a line or turn the text around it; joiners, as in emoji, do neither."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in _JOINERS


def parse_email(text: str) -> str:
    """Check that an address can be one; whether mail arrives there is not ours to know.

    Raises:
        InvalidEmail: when it has no local part or domain, or holds blanks or control characters.
    """
    local, at, domain = text.rpartition("@")
    blank = any(character.isspace() or unicodedata.category(character).startswith("C") for character in text)
    if not (local and at and domain) or blank or len(text) > MAX_TEXT_LENGTH:
        raise InvalidEmail(text)
    return text
