"""Tokens on the disk are their owner's, never half there, and nowhere shown."""

import json
import logging
import os
import stat
from pathlib import Path

import pytest

from sojourn.client import InMemory, SignIn, TokenFile, Tokens
from sojourn.errors import ConfigurationError, InvalidInput

TOKENS = Tokens("secret-access", "secret-refresh", 1_800_000_000_000)


@pytest.fixture(params=["memory", "file"])
def storage(request, tmp_path):
    return InMemory() if request.param == "memory" else TokenFile(tmp_path / "tokens")


def test_what_is_saved_is_loaded_until_it_is_cleared(storage):
    """Nothing, something, something else, nothing."""
    assert storage.load() is None
    storage.save(TOKENS)
    assert TOKENS == storage.load()
    storage.save(Tokens("other"))
    assert Tokens("other") == storage.load()
    storage.clear()
    storage.clear()
    assert storage.load() is None


def test_only_the_owner_reads_the_file(tmp_path):
    """Mode 0600, in folders of mode 0700 where they have to be made, whatever the umask."""
    file = tmp_path / "made" / "too" / "tokens"
    before = os.umask(0)
    try:
        TokenFile(file).save(TOKENS)
    finally:
        os.umask(before)
    places = (file, file.parent, file.parent.parent)
    assert [0o600, 0o700, 0o700] == [stat.S_IMODE(place.stat().st_mode) for place in places]
    with TokenFile(file).locked():
        assert 0o600 == stat.S_IMODE(file.with_name("tokens.lock").stat().st_mode)


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    """``~`` is the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    TokenFile("~/tokens").save(TOKENS)
    assert (tmp_path / "tokens").exists()


def test_a_save_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    """The old tokens are whole, and no draft is left behind."""
    storage = TokenFile(tmp_path / "tokens")
    storage.save(TOKENS)

    def full(self, target):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        storage.save(Tokens("other"))
    assert TOKENS == storage.load()
    assert ["tokens"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"secret-of-another": 1}', "secret-access"])
def test_another_file_is_not_taken_for_tokens(text, tmp_path):
    """The message names the file and the remedy, and shows nothing of what is in it."""
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="does not hold tokens; remove it") as raised:
        TokenFile(file).load()
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_have_a_right_to(mode, tmp_path):
    """Neither are our tokens to be had by them, nor are theirs taken for ours; the remedy is one."""
    storage = TokenFile(tmp_path / "tokens")
    storage.save(TOKENS)
    (tmp_path / "tokens").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        storage.load()
    (tmp_path / "tokens").chmod(0o600)
    assert TOKENS == storage.load()
    (tmp_path / "tokens").chmod(mode)
    storage.clear()
    storage.save(TOKENS)
    assert TOKENS == storage.load()


def test_a_file_of_another_user(tmp_path, monkeypatch):
    """Whoever left it there would have us act in their name."""
    storage = TokenFile(tmp_path / "tokens")
    storage.save(TOKENS)
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "tokens").stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        storage.load()


def test_nothing_shows_the_tokens(caplog, service, client):
    """No repr, no log line."""
    caplog.set_level(logging.DEBUG)
    client.login()
    client.sign_in.refresh()
    tokens = client.sign_in.ready()
    shown = repr([TOKENS, tokens, client.sign_in, SignIn("https://app.example.com")])
    assert "https://app.example.com" in shown
    for secret in ("secret", tokens.access_token, tokens.refresh_token):
        assert secret not in shown
        assert secret not in caplog.text


def test_a_short_life_is_renewed_by_its_last_tenth():
    """Half a minute before the end, or a tenth of the life where that is less."""
    for life, before in ((900, 30), (60, 6)):
        answer = {"access_token": "a", "refresh_token": "b", "expires_in": life}
        tokens = Tokens.of(answer, now_ms=0)
        assert (life - before) * 1000 == tokens.renew_at_ms
        assert tokens.is_renewal_due(tokens.renew_at_ms)
        assert not tokens.is_renewal_due(tokens.renew_at_ms - 1)
    assert not Tokens.of({"access_token": "sj_s1", "expires_in": 9}, now_ms=0).is_renewal_due(
        10**15
    )


@pytest.mark.parametrize(
    "answer", [{}, {"access_token": "a"}, {"access_token": "a", "expires_in": "x"}]
)
def test_an_answer_without_tokens_is_refused(answer):
    """Half of one too."""
    with pytest.raises(InvalidInput):
        Tokens.of(answer, now_ms=0)


def test_the_file_is_json_that_other_programs_can_read(tmp_path):
    """Three fields."""
    TokenFile(tmp_path / "tokens").save(TOKENS)
    assert {"access_token", "refresh_token", "renew_at_ms"} == set(
        json.loads((tmp_path / "tokens").read_text())
    )
