"""What every department has: its tables, from `statements.json`."""
