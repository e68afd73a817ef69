"""Texts that people leave for the record: who decided, and why."""

from __future__ import annotations

import unicodedata

from fedschema.department import MAX_TEXT_LENGTH
from fedschema.errors import InvalidText


def text_for_the_record(option: str, text: str, example: str) -> str:
    """Return what was typed, without surrounding spaces.

    Args:
        option: what it was typed after, for messages.
        text: what was typed.
        example: of what would do, for messages.

    Raises:
        InvalidText: it is empty, too long, or holds control characters.
    """
    if not text.strip():
        raise InvalidText(option, "is empty", example)
    if len(text) > MAX_TEXT_LENGTH or any(unicodedata.category(letter)[0] == "C" for letter in text):
        reason = f"is longer than {MAX_TEXT_LENGTH} characters or holds control characters"
        raise InvalidText(option, reason, example)
    return text.strip()
