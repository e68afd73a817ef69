"""Secrets of departments: OAuth clients in federation.oauth_credentials, API keys in each department's api_keys.

Values are encrypted and decrypted in this process (`fedschema.encryption`); SQL carries ciphertext, as bind parameters.
"""

from __future__ import annotations

from fedschema.credentials.rotation import Rotation, rotate
from fedschema.credentials.storage import find, listing, remove, reveal, store
from fedschema.credentials.values import (
    MAX_VALUE_BYTES,
    ApiKey,
    OAuthClient,
    Part,
    SecretName,
    StoredSecret,
    parse_name,
    parse_value,
)

__all__ = [
    "MAX_VALUE_BYTES",
    "ApiKey",
    "OAuthClient",
    "Part",
    "Rotation",
    "SecretName",
    "StoredSecret",
    "find",
    "listing",
    "parse_name",
    "parse_value",
    "remove",
    "reveal",
    "rotate",
    "store",
]
