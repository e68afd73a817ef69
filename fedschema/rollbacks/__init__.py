"""Proves what each revision's downgrade gives back: up, down and up again, on a department with rows in it.

It is done as a release does it, on a throwaway PostgreSQL, so that no department of anybody's is touched. What is there
before is compared with what is there afterwards, twice:

- with the rows of the revision below: up and down has to give the same schema, and the same rows;
- with rows of the revision itself: down and up again has to give the same schema; what of the rows is gone is lost.

`proving` is the whole; `choosing` says which revisions, `ground` is the scratch department, `trial` tries one revision
on it, `comparing` says what came back otherwise, `refusals` why something was refused.
"""

from fedschema.rollbacks.choosing import Subject, subjects
from fedschema.rollbacks.proving import prove
from fedschema.rollbacks.trial import Proof

__all__ = ["Proof", "Subject", "prove", "subjects"]
