"""The command line: it parses, calls and prints, and is the only floor that prints."""

from fedschema.cli.main import main

__all__ = ["main"]
