"""fedschema gives every department its own walled-off PostgreSQL schema and migrates them all together."""

__version__ = "0.1.0"
