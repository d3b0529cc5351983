import pytest
from hypothesis import given, strategies as st
from pure.samples import OTHER_RAW_SECRET, RAW_SECRET

from sojourn.errors import ConfigurationError
from sojourn.server_secret import ServerSecret, ServerSecrets, is_equal


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "t00-sh0rt",
        RAW_SECRET[:31],
        "a" * 64,
        "abcabcabc" * 8,
        "1234567" * 10,  # seven different characters
        " " * 100,
        "\udcff" * 8 + RAW_SECRET,  # what os.environ makes of bytes that are not UTF-8
    ],
)
def test_a_weak_secret_is_refused_and_not_shown(raw):
    """Short, repetitive or undecodable: ConfigurationError with the remedy, without the secret."""
    with pytest.raises(ConfigurationError) as caught:
        ServerSecret(raw)
    assert "secrets.token_urlsafe(48)" in str(caught.value)
    assert not raw.strip() or raw not in str(caught.value)
    assert caught.value.__cause__ is None  # a decoding error would carry the secret along


def test_thirty_two_random_characters_are_enough():
    """The bar is 32 bytes: exactly that is taken."""
    assert len(ServerSecret(RAW_SECRET[:32]).handle_key) == 32


def test_a_secret_shows_its_id_only():
    """A repr or str holds the public id and neither the text nor a derived key, in any spelling."""
    secret = ServerSecret(RAW_SECRET)
    shown = repr(secret) + str(secret) + f"{secret}"
    assert repr(secret) == f"ServerSecret(id={secret.id!r})"
    for material in (RAW_SECRET, secret.handle_key.hex(), secret.sealing_key.hex()):
        assert material not in shown
    assert repr(secret.handle_key) not in shown


def test_several_secrets_show_nothing():
    """The collection of secrets shows no material either."""
    assert RAW_SECRET not in repr(ServerSecrets([RAW_SECRET, OTHER_RAW_SECRET]))


def test_keys_for_different_uses_differ():
    """One secret gives independent keys (RFC 5869 section 3.2): none is another's prefix."""
    secret = ServerSecret(RAW_SECRET)
    keys = [secret.handle_key, secret.sealing_key]
    assert len({*keys, RAW_SECRET.encode()}) == 3
    assert not any(key.hex().startswith(secret.id) for key in keys)


def test_the_derivation_is_fixed_for_good():
    """A stored record names the id: another derivation would sign everybody out at an upgrade."""
    again = ServerSecret(RAW_SECRET)
    secret = ServerSecret(RAW_SECRET)
    assert (again.id, again.handle_key, again.sealing_key) == (
        secret.id,
        secret.handle_key,
        secret.sealing_key,
    )
    assert (len(secret.id), len(secret.handle_key), len(secret.sealing_key)) == (8, 32, 32)
    assert secret.id == "2ef4ad1a"


def test_two_secrets_share_nothing():
    """Ids and keys of two secrets differ."""
    one, other = ServerSecret(RAW_SECRET), ServerSecret(OTHER_RAW_SECRET)
    assert len({one.id, other.id}) == 2
    assert len({one.handle_key, other.handle_key, one.sealing_key, other.sealing_key}) == 4


def test_the_first_is_current_and_each_is_accepted():
    """Rotation of the server secret: add everywhere, promote, remove; each is found by its id."""
    one, other = ServerSecret(RAW_SECRET), ServerSecret(OTHER_RAW_SECRET)
    secrets = ServerSecrets([RAW_SECRET, OTHER_RAW_SECRET])
    promoted = ServerSecrets((OTHER_RAW_SECRET, RAW_SECRET))
    assert (secrets.current.id, promoted.current.id) == (one.id, other.id)
    for each in (secrets, promoted):
        named = [each.named(one.id), each.named(other.id)]
        assert [found and found.id for found in named] == [one.id, other.id]


def test_an_unknown_id_is_none():
    """A secret that is not (or no longer) configured is absent, not an error."""
    assert ServerSecrets(RAW_SECRET).named("00000000") is None
    assert ServerSecrets(RAW_SECRET).named("") is None


def test_a_single_text_is_one_secret():
    """A str is one secret, not a sequence of characters."""
    assert ServerSecrets(RAW_SECRET).current.id == ServerSecret(RAW_SECRET).id


def test_no_secret_is_refused():
    """An empty sequence is a missing secret."""
    with pytest.raises(ConfigurationError, match="no server secret"):
        ServerSecrets([])


def test_one_weak_secret_among_several_is_refused():
    """An old secret that is weak would still be accepted, so it is refused too."""
    with pytest.raises(ConfigurationError):
        ServerSecrets([RAW_SECRET, "short"])


@given(st.binary(), st.binary())
def test_comparison_is_equality(left, right):
    """The constant-time comparison gives what == would, for any lengths."""
    assert is_equal(left, right) == (left == right)
    assert is_equal(left, bytes(left)) is True
