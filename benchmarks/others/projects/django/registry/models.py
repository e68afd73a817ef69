"""The two models that django-tenants asks for."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Department(TenantMixin):
    """A department, by the name of its schema, which is there already."""

    name = models.CharField(max_length=100)
    auto_create_schema = False

    def __str__(self) -> str:
        return self.name


class Domain(DomainMixin):
    """A department's domain; there is none."""
