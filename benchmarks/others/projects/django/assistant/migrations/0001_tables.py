"""The tables of a department, with their walls."""

from django.db import migrations

from assistant.statements import operation


class Migration(migrations.Migration):
    """The first."""

    initial = True
    operations = [operation("tables")]
