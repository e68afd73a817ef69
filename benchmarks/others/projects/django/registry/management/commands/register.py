"""Puts the departments of `departments.json` into the registry of django-tenants."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from registry.models import Department


class Command(BaseCommand):
    """`manage.py register`."""

    def handle(self, *_: Any, **__: Any) -> None:
        """Register all of them."""
        ids = json.loads(Path("departments.json").read_text())
        Department.objects.bulk_create([Department(schema_name=f"{one}_tenant", name=one) for one in ids])
