"""A column and an index more on one table."""

from assistant.statements import operation
from django.db import migrations


class Migration(migrations.Migration):
    """The release."""

    dependencies = [("assistant", "0001_tables")]
    operations = [operation("release")]
