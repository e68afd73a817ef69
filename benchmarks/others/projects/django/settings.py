"""The least that django-tenants needs; the database is that of libpq's environment variables."""

import os

SECRET_KEY = "for a benchmark"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SHARED_APPS = ["django_tenants", "django.contrib.contenttypes", "registry"]
TENANT_APPS = ["assistant"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "registry.Department"
TENANT_DOMAIN_MODEL = "registry.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
    }
}

#: As many as fedschema opens connections by itself.
TENANT_MULTIPROCESSING_MAX_PROCESSES = 4
