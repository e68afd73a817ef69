"""What each page presupposes, what it says in words, and which of its steps cannot be typed, with the reason."""

from tests.docs.presupposed import departments, revisions, sharing

PREPARATIONS = {**departments.PAGES, **sharing.PAGES, **revisions.PAGES}
