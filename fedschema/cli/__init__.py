"""The command line: it parses, calls and prints, and is the only floor that prints."""

import gc

# A command loads hundreds of modules and lives for a second: collecting every 700 objects costs up to 60 ms of that.
gc.set_threshold(50_000)

from fedschema.cli.main import main  # noqa: E402 - after the threshold, which is for its imports

__all__ = ["main"]
