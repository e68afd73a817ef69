"""`fedschema demo`."""

import typer


def demo(context: typer.Context) -> None:
    """Show the whole story on the embedded server, in under a minute."""
