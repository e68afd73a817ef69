"""A value decrypts under its key, in its place, unchanged; and in no other way."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from fedschema.encryption import KEY_BYTES, Context, Key, decrypt, encrypt, key_id_of
from fedschema.errors import InvalidEncryptionKey, SecretDamaged, WrongEncryptionKey

PLAIN = "Zürich, 東京 🔑\nsecond line"
PLACE = Context(uuid4(), "api_keys", uuid4(), "api_key_encrypted", "openai", "the value of the test")


@pytest.mark.parametrize("text", ["x", PLAIN, "a" * 65536, "\n", " "], ids=["one", "unicode", "long", "line", "blank"])
def test_value_decrypts_in_its_own_place_under_its_own_key(key: Key, text: str) -> None:
    assert decrypt([key], encrypt(key, text, PLACE), PLACE) == text


def test_value_has_the_layout_that_other_languages_rely_on(key: Key) -> None:
    blob = encrypt(key, "abc", PLACE)

    assert blob[0] == 1
    assert blob[1:5] == key.id == key_id_of(blob)
    assert len(blob) == 1 + 4 + 12 + len("abc") + 16


def test_plaintext_and_key_are_not_in_the_value(key: Key) -> None:
    blob = encrypt(key, "a secret that is long enough", PLACE)

    assert b"secret" not in blob
    assert key.material not in blob


def test_no_byte_of_a_value_can_be_changed(key: Key) -> None:
    blob = encrypt(key, "abcdef", PLACE)

    for position in range(len(blob)):
        for change in (1, 128, 255):
            changed = bytearray(blob)
            changed[position] ^= change
            with pytest.raises((SecretDamaged, WrongEncryptionKey)):
                decrypt([key], bytes(changed), PLACE)


def test_no_part_of_a_value_can_be_left_out(key: Key) -> None:
    blob = encrypt(key, "abcdef", PLACE)

    for length in range(len(blob)):
        with pytest.raises(SecretDamaged):
            decrypt([key], blob[:length], PLACE)
    with pytest.raises(SecretDamaged):
        decrypt([key], blob + b"\0", PLACE)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, department_id=uuid4()),
        replace(PLACE, table="oauth_credentials"),
        replace(PLACE, row_id=uuid4()),
        replace(PLACE, column="refresh_token_encrypted"),
        replace(PLACE, service="openai2"),
        replace(PLACE, department_id=PLACE.row_id, row_id=PLACE.department_id),
    ],
    ids=["department", "table", "row", "column", "service", "exchanged"],
)
def test_value_does_not_decrypt_in_another_place(key: Key, other: Context) -> None:
    blob = encrypt(key, PLAIN, PLACE)

    with pytest.raises(SecretDamaged) as caught:
        decrypt([key], blob, other)
    assert caught.value.exit_status == 1
    assert caught.value.__context__ is None
    assert PLAIN not in caught.value.message


def test_label_is_for_messages_only(key: Key) -> None:
    assert decrypt([key], encrypt(key, PLAIN, PLACE), replace(PLACE, label="renamed")) == PLAIN


def test_no_two_places_have_the_same_associated_data() -> None:
    shifted = [replace(PLACE, column=f"column{'s' * n}", service="s" * (4 - n)) for n in range(5)]

    assert len({place.associated_data() for place in shifted}) == len(shifted)


def test_associated_data_are_the_parts_after_their_lengths() -> None:
    place = Context(UUID(int=1), "t", UUID(int=2), "ü", "s")

    one, two = str(UUID(int=1)).encode(), str(UUID(int=2)).encode()
    expected = b"\0\0\0\x24" + one + b"\0\0\0\x01t" + b"\0\0\0\x24" + two + b"\0\0\0\x02\xc3\xbc" + b"\0\0\0\x01s"
    assert place.associated_data() == expected


def test_value_under_another_key_names_both_ids_and_no_key(key: Key, other_key: Key) -> None:
    with pytest.raises(WrongEncryptionKey) as caught:
        decrypt([other_key], encrypt(key, PLAIN, PLACE), PLACE)

    assert key.id.hex() in caught.value.message
    assert other_key.id.hex() in caught.value.message
    for secret in (key.material.hex(), other_key.material.hex(), PLAIN):
        assert secret not in f"{caught.value.message} {caught.value.hint}"


def test_value_decrypts_under_whichever_key_it_is_under(key: Key, other_key: Key) -> None:
    assert decrypt([other_key, key], encrypt(key, PLAIN, PLACE), PLACE) == PLAIN


def test_value_that_is_no_text_is_damaged_and_shows_nothing(key: Key) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(12)
    sealed = AESGCM(key.material).encrypt(nonce, b"\xff\xfebinary", PLACE.associated_data())

    with pytest.raises(SecretDamaged, match="UTF-8") as caught:
        decrypt([key], b"\x01" + key.id + nonce + sealed, PLACE)
    assert caught.value.__context__ is None


def test_same_text_never_gives_the_same_value_twice(key: Key) -> None:
    blobs = [encrypt(key, PLAIN, PLACE) for _ in range(2000)]

    assert len({blob[5:17] for blob in blobs}) == len(blobs)
    assert len({blob[17:] for blob in blobs}) == len(blobs)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 characters, not 64"),
        ("ab" * 31, "has 62 characters, not 64"),
        ("ab" * 32 + "\n", "has 65 characters, not 64"),
        ("3c" * 31 + " a", "hex digits"),
        ("0x" + "3c" * 31, "hex digits"),
        ("g" * 64, "hex digits"),
        ("٣" * 64, "hex digits"),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str, reason: str) -> None:
    with pytest.raises(InvalidEncryptionKey, match=reason) as caught:
        Key.parse(text, "SOMEWHERE")

    assert caught.value.exit_status == 2
    assert "SOMEWHERE" in caught.value.message
    if text:
        assert text not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("text", ["0" * 64, "f" * 64, "ab" * 32, "0123456789abcdef" * 4])
def test_key_that_repeats_itself_is_known_to_be_weak(text: str) -> None:
    assert Key.parse(text, "here").is_weak
    assert not Key.generate().is_weak


def test_key_is_read_whether_its_digits_are_large_or_small(key: Key) -> None:
    digits = key.material.hex()

    assert Key.parse(digits, "here") == Key.parse(digits.upper(), "here") == key


def test_generated_keys_are_accepted_and_differ() -> None:
    keys = [Key.generate() for _ in range(500)]

    assert len({key.material for key in keys}) == len({key.id for key in keys}) == len(keys)
    assert all(Key.parse(key.material.hex(), "here") == key for key in keys)
    assert len(keys[0].material) == KEY_BYTES


def test_key_shows_nothing_but_its_id(key: Key) -> None:
    for shown in (repr(key), str(key), f"{key}", repr([key]), repr({"key": key})):
        assert key.id.hex() in shown
        assert key.material.hex() not in shown
        assert repr(key.material) not in shown


def test_key_id_is_no_part_of_the_key(key: Key) -> None:
    assert key.id not in key.material


def test_other_commands_do_not_load_the_cryptography() -> None:
    program = "import fedschema.cli.app, sys; print(sorted(m for m in sys.modules if m.startswith('cryptography')))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
