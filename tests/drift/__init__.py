"""Departments that are not what their revisions give."""
