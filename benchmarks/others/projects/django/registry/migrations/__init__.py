"""Written by `manage.py makemigrations`, when the benchmark prepares the project."""
