"""A snippet is a passage: 200 characters at most, never more than half of the text, whatever the text is like."""

from __future__ import annotations

import random

import psycopg
import pytest

from tests.security.conftest import value
from tests.sharing.conftest import grant, search

#: What texts are made of: words, marks that look like highlights, long runs, letters of several bytes.
_WORDS = ("word", "ab", "x", "**", "***", "kiwi", "é", "日本", "\U0001f600", "-", "<b>", "&amp;", "ß" * 30, "k" * 90)


def _texts() -> list[str]:
    """Return texts of every length from 0 to 400 that all hold the word kiwi where there is room for it."""
    chosen = random.Random(7)  # noqa: S311 - the same each time
    texts = []
    for length in range(401):
        words = [chosen.choice(_WORDS) for _ in range(length)]
        place = chosen.randrange(0, 12)
        text = " ".join([*words[:place], "kiwi", *words[place:]])[:length]
        texts.append(text if len(text) == length else text.ljust(length, "z"))
    return texts


TEXTS = _texts()


@pytest.fixture(scope="module", autouse=True)
def _documents(root: psycopg.Connection) -> None:
    with root.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO sales_tenant.drive_document_repository
                (drive_file_id, drive_folder_id, file_name, extracted_text)
            VALUES (%s, 'f', %s, %s)
            """,
            [(f"{len(text):03}", f"name{n}", text) for n, text in enumerate(TEXTS)],
        )
        cursor.executemany(
            "INSERT INTO sales_tenant.contacts (contact_id, full_name, notes) VALUES (%s, %s, %s)",
            [(f"{n:03}", f"name{n}", text) for n, text in enumerate(TEXTS)],
        )


def limit(text: str) -> int:
    return min(200, len(text) // 2)


def test_snippet_of_a_text_of_any_length_is_half_of_it_at_most(
    gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    """Found by the file's name, so that texts without the word are looked at too; all of them, fifty at a time."""
    grant(root, "search", "drive_documents")
    seen: dict[str, str] = {}
    for first in range(0, len(TEXTS), 16):
        query = " or ".join(f"name{n}" for n in range(first, min(first + 16, len(TEXTS))))
        found = search(gateway, query, resource="drive_documents", limit=50)
        seen |= {identifier: snippet for identifier, _, snippet, _ in found}
    assert len(seen) == len(TEXTS)
    for identifier, snippet in seen.items():
        text = TEXTS[int(identifier)]
        assert len(snippet) <= limit(text), identifier
        assert not text or snippet.replace("**", "") != text, identifier


def test_snippet_with_its_marks_is_half_of_the_text_at_most(
    gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    """The marks count: a text of highlighted words alone must not come out whole either."""
    grant(root, "search", "contacts")
    marked = 0
    for n, text in enumerate(TEXTS):
        if "kiwi" not in text.split():
            continue
        ((_, _, snippet, _),) = search(gateway, f'"name{n}" kiwi', limit=1)
        whole = f"name{n} {text}"
        assert len(snippet) <= limit(whole), n
        assert snippet != whole
        marked += "**kiwi**" in snippet
    assert marked > 50  # else nothing was shown


@pytest.mark.parametrize(
    "text", ["kiwi", "kiwi kiwi", "kiwi " * 100, "kiwi" + "." * 200, "kiwi\n\n\t" * 60, "kiwi-" * 80 + "end"]
)
def test_text_of_the_word_alone_is_not_shown_whole(
    gateway: psycopg.Connection, root: psycopg.Connection, text: str
) -> None:
    grant(root, "search", "emails")
    root.execute("DELETE FROM sales_tenant.email_logs")
    root.execute(
        "INSERT INTO sales_tenant.email_logs (session_id, recipient_email, subject, body) VALUES ('s', 'x', '', %s)",
        (text,),
    )
    ((_, name, snippet, _),) = search(gateway, "kiwi", resource="emails")
    assert name == ""
    assert len(snippet) <= limit(f" {text}")
    assert snippet.replace("**", "").strip() != text.strip()


def test_repeating_the_question_shows_no_more(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    grant(root, "search", "drive_documents")
    first = search(gateway, "kiwi", resource="drive_documents", limit=50)
    assert len(first) == 50
    assert search(gateway, "kiwi", resource="drive_documents", limit=50) == first
    assert value(root, "SELECT count(*) FROM sales_tenant.drive_document_repository WHERE search_vector @@ 'kiwi'") > 50
