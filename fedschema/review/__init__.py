"""What `fedschema lint` does: reviews revisions as they would run, by fedschema's own rules and by squawk's.

`reviewing` is the whole; `readings` runs the revisions offline; `names` and `conduct` judge statements, `frozen` what
was released; `rules` says what the rules are.
"""

from fedschema.review.reviewing import NEWEST_SERVER, Review, release, review
from fedschema.review.rules import RULES, Finding, Level

__all__ = ["NEWEST_SERVER", "RULES", "Finding", "Level", "Review", "release", "review"]
