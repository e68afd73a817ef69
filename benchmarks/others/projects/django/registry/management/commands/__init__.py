"""The benchmark's own commands."""
