"""Settings from `app.config`: over the environment, which is over the defaults."""

import tomllib

import pytest
from flask import Flask

from sojourn import ConfigurationError
from sojourn.flask import Auth
from sojourn.flask.config import configured

URL = "http://127.0.0.1:5000"
SECRET = "only-for-this-test-Zq8Lx2Vm5Rk7Ty4Wn1Bp3Cd6"


def sojourn_of(config, **options):
    """Make an application of a configuration, and give its engine."""
    app = Flask(__name__)
    app.config.update(config)
    Auth(app, **options)
    return app.extensions["sojourn"].auth.sojourn


def test_app_config_is_over_the_environment(monkeypatch):
    """Code is over `app.config`, which is over the environment, which is over the default."""
    monkeypatch.setenv("SOJOURN_STORE", "memory://")
    monkeypatch.setenv("SOJOURN_URL", URL)
    monkeypatch.setenv("SOJOURN_MODE", "jwt")
    monkeypatch.setenv("SOJOURN_GRACE_SECONDS", "7")
    assert ("jwt", 7) == ((s := sojourn_of({}).settings).mode, s.grace_seconds)
    settings = sojourn_of({"SOJOURN_MODE": "session"}).settings
    assert ("session", 7, 5.0) == (settings.mode, settings.grace_seconds, settings.max_lag_seconds)
    assert "hybrid" == sojourn_of({"SOJOURN_MODE": "session"}, mode="hybrid").settings.mode


def test_flasks_ways_to_fill_it(monkeypatch):
    """TOML and prefixed environment variables give lists and text; both are what was meant."""
    app = Flask(__name__)
    app.config.from_mapping(
        tomllib.loads('SOJOURN_MODES = ["session", "hybrid"]\nSOJOURN_MAX_SESSIONS = 3')
    )
    monkeypatch.setenv(
        "FLASK_SOJOURN_TRUSTED_ORIGINS", "http://localhost:3000,http://localhost:4000"
    )
    monkeypatch.setenv("FLASK_SOJOURN_GRACE_SECONDS", "5")
    app.config.from_prefixed_env()
    settings = sojourn_of(app.config, store="memory://", url=URL).settings
    assert ("session", "hybrid") == settings.modes
    assert (3, 5) == (settings.max_sessions, settings.grace_seconds)
    assert ("http://localhost:3000", "http://localhost:4000") == settings.trusted_origins


def test_the_secret_is_ours(tmp_path):
    """`SOJOURN_SECRET` or its file, never Flask's `SECRET_KEY`, which is often short."""
    base = {
        "SECRET_KEY": "dev",
        "SOJOURN_STORE": "memory://",
        "SOJOURN_URL": "https://app.example.com",
    }
    with pytest.raises(ConfigurationError, match="SOJOURN_SECRET"):
        sojourn_of(base)
    ids = sojourn_of({**base, "SOJOURN_SECRET": SECRET}).core.secrets.current.id
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    kept = sojourn_of({**base, "SOJOURN_SECRET_FILE": file}).core.secrets.current.id
    assert ids == kept
    with pytest.raises(ConfigurationError, match="cannot be read"):
        sojourn_of({**base, "SOJOURN_SECRET_FILE": tmp_path / "missing"})


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("SOJOURN_IDLE_TTL", 5, "did you mean SOJOURN_IDLE_TTL_SECONDS"),
        ("SOJOURN_QUUX_FROB", 5, "no such setting"),
        ("SOJOURN_MODE", "cookies", "choose one of"),
        ("SOJOURN_GRACE_SECONDS", "soon", "SOJOURN_GRACE_SECONDS is 'soon'"),
        ("SOJOURN_FRESH_SECONDS", "soon", "a number of seconds"),
        ("SOJOURN_FRESH_SECONDS", -1, "0 or more"),
    ],
)
def test_what_is_wrong_is_named(key, value, remedy):
    """A typing mistake in a setting does not pass in silence."""
    with pytest.raises(ConfigurationError, match=remedy):
        sojourn_of({"SOJOURN_STORE": "memory://", "SOJOURN_URL": URL, key: value})


def test_none_is_as_if_it_were_not_there():
    """`None` in a class of defaults leaves a setting to the environment."""
    environ = {"SOJOURN_STORE": "memory://", "SOJOURN_FRESH_SECONDS": "60"}
    config = configured({"SOJOURN_STORE": None, "SOJOURN_MODE": None}, environ=environ)
    assert ("memory://", 60.0, {}) == (config.store, config.fresh.total_seconds(), config.options)
