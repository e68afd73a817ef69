"""Which departments there are, as django-tenants keeps it."""
