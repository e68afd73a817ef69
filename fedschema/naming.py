"""What a revision is called: its id comes from the words of its message, by the convention of those that are there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from fedschema.department import NAME_BYTES
from fedschema.errors import InvalidRevisionMessage, InvalidTableName

#: A docstring's first line has to fit into one line of code.
_MOST_LETTERS = 110
_MOST_OF_SLUG = 40
#: version_num is varchar(128).
_MOST_OF_ID = 128
_CHECK_SUFFIX = "_department_check"
_MOST_OF_TABLE = NAME_BYTES - len(_CHECK_SUFFIX)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER = re.compile(r"_(\d+)(?:_|$)")
_LEADING = re.compile(r"^(?:add_)?(?:(?:a|an|the)_)?(?=.)")
#: What Alembic reads as something else than an id.
_MEANT = frozenset({"head", "heads", "base", "current"})


def parse_message(text: str) -> str:
    """Check what a revision is said to do, and return it as a docstring has it: with a capital and a full stop.

    Raises:
        InvalidRevisionMessage: it would not stay inside the docstring's first line, or says nothing.
    """
    message = text.strip()
    if not message:
        raise InvalidRevisionMessage("is empty")
    if any(unicodedata.category(letter)[0] == "C" or letter in "\u2028\u2029" for letter in message):
        raise InvalidRevisionMessage("holds a line break or another control character")
    if "\\" in message or '"""' in message:
        raise InvalidRevisionMessage('holds a backslash or """, which would end or change the docstring')
    if len(message) > _MOST_LETTERS:
        raise InvalidRevisionMessage(f"has {len(message)} characters, at most {_MOST_LETTERS} fit into a line")
    ended = message if message.endswith((".", "!", "?")) else f"{message}."
    return ended[0].upper() + ended[1:]


def slug_of(message: str) -> str:
    """Return the words of a message as part of an id: "Add case files." gives ``case_files``.

    What stands after a colon is left out, and what every revision does: adding.

    Raises:
        InvalidRevisionMessage: there is no letter or digit that an id could have.
    """
    head = message.partition(":")[0]
    folded = unicodedata.normalize("NFKD", head).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", folded).strip("_")
    slug = _LEADING.sub("", words)
    if len(slug) > _MOST_OF_SLUG:
        slug = slug[: _MOST_OF_SLUG + 1].rpartition("_")[0] or slug[:_MOST_OF_SLUG]
    if not slug:
        raise InvalidRevisionMessage("has no letter a-z that its id could be made of", "name it yourself: --rev-id")
    return slug


def next_id(label: str, slug: str, taken: Iterable[str]) -> str:
    """Return the id that goes on with a lineage's numbers: ``tenant_0008_case_files``."""
    numbers = (_NUMBER.match(revision, len(label)) for revision in taken if revision.startswith(f"{label}_"))
    last = max((int(found[1]) for found in numbers if found), default=0)
    return f"{label}_{last + 1:04}_{slug}"


def objection_to_id(text: str) -> str | None:
    """Say why a text cannot be a revision's id, or None when it can."""
    if not _NAME.fullmatch(text):
        return "it must begin with a letter a-z and hold only a-z, 0-9 and _"
    if len(text) > _MOST_OF_ID:
        return f"it has {len(text)} characters, at most {_MOST_OF_ID} fit"
    return "alembic reads it as something else" if text in _MEANT else None


def parse_table(text: str) -> str:
    """Check the name of a new table and return it.

    Raises:
        InvalidTableName: it would have to be quoted, or leaves no room for the name of its CHECK.
    """
    if not _NAME.fullmatch(text):
        raise InvalidTableName(text, "it must begin with a letter a-z and hold only a-z, 0-9 and _")
    if len(text) > _MOST_OF_TABLE:
        raise InvalidTableName(text, f"at most {_MOST_OF_TABLE} characters leave room for {_CHECK_SUFFIX!r}")
    if text == "alembic_version":
        raise InvalidTableName(text, "Alembic's version table has it")
    return text
