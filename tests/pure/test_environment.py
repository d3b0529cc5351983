import os
import secrets
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pure.samples import OTHER_RAW_SECRET, OTHER_SECRET, RAW_SECRET, SECRET

import sojourn
from sojourn import environment
from sojourn.environment import secret_file, secrets_from, settings_from
from sojourn.errors import ConfigurationError
from sojourn.settings import SETTING_NAMES, Settings

URL = {"url": "https://app.example.com"}
URL_ENVIRON = {"SOJOURN_URL": "https://app.example.com"}


def found(given=None, *, environ, is_development=False, is_kept=True):
    """The id of the secret that is found to be current."""
    each = secrets_from(given, is_development=is_development, is_kept=is_kept, environ=environ)
    return each.current.id


class TestSettings:
    def test_code_wins_over_the_environment_over_the_default(self):
        """Each setting on its own: given in code, else from SOJOURN_*, else the default."""
        environ = {"SOJOURN_MODE": "session", "SOJOURN_GRACE_SECONDS": "5"}
        settings = settings_from({**URL, "mode": "jwt"}, environ=environ)
        assert (settings.mode, settings.grace_seconds, settings.max_lag_seconds) == ("jwt", 5, 5.0)

    def test_none_in_code_is_given(self):
        """None in code says "the default" and is not overridden from outside."""
        environ = {"SOJOURN_MAX_SESSIONS": "3"}
        assert settings_from({**URL, "max_sessions": None}, environ=environ).max_sessions is None
        assert settings_from(URL, environ=environ).max_sessions == 3

    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("url", "https://h.example", "https://h.example"),
            ("mode", "session", "session"),
            ("modes", "session, jwt", ("session", "jwt")),
            ("modes", "", ()),
            ("audience", "app", "app"),
            ("audiences", "billing,mail,", ("billing", "mail")),
            ("audiences", "7", ("7",)),
            ("transport", "bearer", "bearer"),
            ("preset", "aal2", "aal2"),
            ("absolute_ttl_seconds", "60", 60),
            ("idle_ttl_seconds", "60", 60),
            ("access_ttl_seconds", "60", 60),
            ("browser_ttl_seconds", "60", 60),
            ("grace_seconds", "0", 0),
            ("max_sessions", "5", 5),
            ("on_excess", "refuse", "refuse"),
            ("cookie_name", "app", "app"),
            ("cookie_name", "7", "7"),
            ("cookie_domain", "example.com", "example.com"),
            ("same_site", "strict", "strict"),
            ("trusted_origins", "https://a.example,https://b.example", None),
            ("trusted_proxies", "10.0.0.0/8 , ::1", ("10.0.0.0/8", "::1")),
            ("max_lag_seconds", "0.5", 0.5),
            ("when_stale", "refuse", "refuse"),
            ("signing_algorithm", "EdDSA", "EdDSA"),
            ("key_ttl_seconds", "86400", 86_400),
            ("jwks_ttl_seconds", "60", 60),
            ("leeway_seconds", "0", 0),
            ("guest_ttl_seconds", "60", 60),
            ("max_guests", "10", 10),
        ],
    )
    def test_every_setting_is_read(self, name, text, expected):
        """SOJOURN_ and the setting's name in capitals; lists by commas."""
        if expected is None:
            expected = tuple(text.split(","))
        environ = URL_ENVIRON | {f"SOJOURN_{name.upper()}": text}
        if name == "cookie_domain":
            assert settings_from({}, environ=environ).cookie_domain == expected
            return
        assert getattr(settings_from({}, environ=environ), name) == expected

    def test_no_setting_was_forgotten(self):
        """The parameters above name every setting."""
        mark = TestSettings.test_every_setting_is_read.pytestmark[0]
        assert {name for name, _, _ in mark.args[1]} == SETTING_NAMES

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("GRACE_SECONDS", "ten"),
            ("GRACE_SECONDS", ""),
            ("GRACE_SECONDS", "1.5"),
            ("MAX_SESSIONS", "many"),
            ("MAX_LAG_SECONDS", "5s"),
            ("MODE", "jwts"),
            ("MODE", ""),
            ("WHEN_STALE", "Ask"),
        ],
    )
    def test_a_wrong_value_names_its_variable(self, name, text):
        """The message names the variable, the value and what is wrong with it."""
        with pytest.raises(ConfigurationError) as caught:
            settings_from(URL, environ={f"SOJOURN_{name}": text})
        assert str(caught.value).startswith(f"SOJOURN_{name} is {text!r}: ")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("GRACE_SECONDS", "61"),
            ("MAX_LAG_SECONDS", "nan"),
            ("MAX_LAG_SECONDS", "inf"),
            ("MODES", "session,cookie"),
            ("TRUSTED_PROXIES", "all"),
        ],
    )
    def test_the_environment_is_validated_like_code(self, name, text):
        """Ranges and contradictions hold wherever a value comes from."""
        with pytest.raises(ConfigurationError):
            settings_from(URL, environ={f"SOJOURN_{name}": text})

    @pytest.mark.parametrize("environ", [{}, {"SOJOURN_URL": ""}, {"url": "https://x.example"}])
    def test_without_a_url_the_remedy_is_told(self, environ):
        """The url is the one setting without a default."""
        with pytest.raises(ConfigurationError, match="or SOJOURN_URL"):
            settings_from({}, environ=environ)
        with pytest.raises(ConfigurationError, match="no url was given"):
            settings_from({"url": ""}, environ={})

    def test_a_mistyped_option_is_refused(self):
        """An option nobody knows is a mistake, not silence."""
        with pytest.raises(
            ConfigurationError, match=r"no setting 'gracee'; did you mean grace_seconds"
        ):
            settings_from({**URL, "gracee": 5}, environ={})

    def test_what_is_computed_cannot_be_set(self):
        """The derived origin is no setting, from neither side."""
        settings = settings_from(URL, environ={"SOJOURN__ORIGIN": "https://evil.example"})
        assert settings.origin == "https://app.example.com"
        with pytest.raises(ConfigurationError):
            settings_from({**URL, "_origin": "https://evil.example"}, environ={})

    def test_the_given_options_are_left_as_they_are(self):
        """The caller's mapping is not written to."""
        options = dict(URL)
        settings_from(options, environ={"SOJOURN_MODE": "session"})
        assert options == URL

    def test_the_process_environment_is_the_default(self, monkeypatch):
        """Without a mapping, os.environ is read, at the call and not at import."""
        monkeypatch.setenv("SOJOURN_URL", "https://env.example")
        monkeypatch.setenv("SOJOURN_SECRET", RAW_SECRET)
        settings = settings_from({})
        assert settings == Settings(url="https://env.example")
        assert secrets_from(None, is_development=False, is_kept=True).current.id == SECRET.id


class TestSecrets:
    def test_code_wins_over_the_environment(self):
        """What is given in code is the secret; the environment is not looked at."""
        environ = {"SOJOURN_SECRET": OTHER_RAW_SECRET, "SOJOURN_SECRET_FILE": "/nonexistent"}
        assert found(RAW_SECRET, environ=environ) == SECRET.id

    def test_the_variable_wins_over_the_file(self, tmp_path):
        """SOJOURN_SECRET, then SOJOURN_SECRET_FILE."""
        file = tmp_path / "secret"
        file.write_text(OTHER_RAW_SECRET)
        environ = {"SOJOURN_SECRET": RAW_SECRET, "SOJOURN_SECRET_FILE": str(file)}
        assert found(environ=environ) == SECRET.id
        assert found(environ=environ | {"SOJOURN_SECRET": ""}) == OTHER_SECRET.id
        assert found(environ=environ | {"SOJOURN_SECRET": " \n"}) == OTHER_SECRET.id

    def test_the_file_wins_over_the_development_secret(self, tmp_path):
        """A configured file counts in development too, and none is made beside it."""
        file = tmp_path / "secret.txt"
        file.write_text(f"\n{RAW_SECRET}\n")
        environ = {"SOJOURN_SECRET_FILE": str(file), "SOJOURN_DATA": str(tmp_path / "data")}
        assert found(environ=environ, is_development=True) == SECRET.id
        assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]

    @pytest.mark.parametrize("separator", [" ", "\n", "\r\n", " \t\n\n "])
    @pytest.mark.parametrize("kind", ["variable", "file"])
    def test_several_secrets_the_current_first(self, separator, kind, tmp_path):
        """White space stands between them; each is accepted, the first makes what is new."""
        text = f"{RAW_SECRET}{separator}{OTHER_RAW_SECRET}\n"
        file = tmp_path / "secret"
        file.write_bytes(text.encode())
        environ = (
            {"SOJOURN_SECRET": text} if kind == "variable" else {"SOJOURN_SECRET_FILE": str(file)}
        )
        each = secrets_from(None, is_development=False, is_kept=True, environ=environ)
        assert each.current.id == SECRET.id
        assert each.named(OTHER_SECRET.id) is not None

    def test_several_secrets_in_code(self):
        """A sequence, the current one first."""
        assert found([OTHER_RAW_SECRET, RAW_SECRET], environ={}) == OTHER_SECRET.id

    @pytest.mark.parametrize("environ", [{}, {"SOJOURN_SECRET": ""}, {"SOJOURN_SECRET": "  "}])
    @pytest.mark.parametrize("given_", [None, "", ()])
    def test_production_without_a_secret_is_refused(self, environ, given_):
        """Nothing is made up where people would be signed out by the next restart."""
        for is_kept in (True, False):
            with pytest.raises(ConfigurationError, match="no server secret is set"):
                found(given_, environ=environ, is_kept=is_kept)

    @pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n"])
    def test_an_empty_file_is_refused(self, content, tmp_path):
        """A mount that is not there yet must not end in a made-up secret, in development neither."""
        file = tmp_path / "secret"
        file.write_bytes(content)
        for is_development in (True, False):
            with pytest.raises(ConfigurationError, match=f"SOJOURN_SECRET_FILE {file} is empty"):
                found(environ={"SOJOURN_SECRET_FILE": str(file)}, is_development=is_development)

    @pytest.mark.parametrize("what", ["absent", "folder", "binary"])
    def test_an_unreadable_file_is_refused(self, what, tmp_path):
        """Absent, a folder, or not UTF-8: refused with the variable's name, in development too."""
        path = tmp_path / "secret"
        if what == "folder":
            path.mkdir()
        if what == "binary":
            path.write_bytes(b"\xff\xfe" * 50)
        for is_development in (True, False):
            with pytest.raises(ConfigurationError, match="SOJOURN_SECRET_FILE cannot be read"):
                found(environ={"SOJOURN_SECRET_FILE": str(path)}, is_development=is_development)

    @pytest.mark.parametrize(
        "text", ["short", "correct horse battery staple", f"{RAW_SECRET} short"]
    )
    def test_a_weak_secret_from_outside_is_refused_and_not_shown(self, text):
        """The rules of a secret hold wherever it comes from; no part of it is in the message."""
        with pytest.raises(ConfigurationError) as caught:
            found(environ={"SOJOURN_SECRET": text})
        assert not any(word in str(caught.value) for word in text.split() if word != "short")

    def test_a_store_of_the_process_needs_no_file(self, tmp_path):
        """In development with a store in memory, a fresh secret each time, and no file."""
        environ = {"SOJOURN_DATA": str(tmp_path / "data")}
        ids = {found(environ=environ, is_development=True, is_kept=False) for _ in range(5)}
        assert len(ids) == 5
        assert list(tmp_path.iterdir()) == []

    def test_in_development_the_file_is_made_once(self, tmp_path):
        """A kept store gets a file under SOJOURN_DATA, read again by the next start."""
        environ = {"SOJOURN_DATA": str(tmp_path / "deep" / "data")}
        ids = {found(environ=environ, is_development=True) for _ in range(3)}
        assert len(ids) == 1
        assert {p.name for p in (tmp_path / "deep" / "data").iterdir()} == {"secret", ".gitignore"}

    def test_the_default_folder_is_beside_the_application(self, tmp_path, monkeypatch):
        """Without SOJOURN_DATA (or with an empty one) it is .sojourn in the working directory."""
        monkeypatch.chdir(tmp_path)
        ids = {found(environ=e, is_development=True) for e in ({}, {"SOJOURN_DATA": ""})}
        assert len(ids) == 1
        assert (tmp_path / ".sojourn" / "secret").exists()

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path):
        """A file in its place (or no permission) is a configuration error with the remedy."""
        (tmp_path / "data").write_text("")
        environ = {"SOJOURN_DATA": str(tmp_path / "data")}
        with pytest.raises(ConfigurationError, match="SOJOURN_DATA"):
            found(environ=environ, is_development=True)


class TestSecretFile:
    def test_it_is_for_its_owner_only(self, tmp_path):
        """0600 within 0700, whatever the umask."""
        before = os.umask(0)
        try:
            secret_file(tmp_path / "data")
        finally:
            os.umask(before)
        modes = [stat.S_IMODE((tmp_path / p).stat().st_mode) for p in ("data", "data/secret")]
        assert modes == [0o700, 0o600]

    def test_it_is_long_and_random(self, tmp_path):
        """384 bits, different each time, and nothing else is left in the folder."""
        each = {secret_file(tmp_path / str(n)) for n in range(3)}
        assert (len(each), {len(text) for text in each}) == (3, {64})
        assert {p.name for p in (tmp_path / "0").iterdir()} == {"secret", ".gitignore"}

    def test_an_existing_one_is_kept(self, tmp_path):
        """What is there is read, never replaced."""
        (tmp_path / "secret").write_text(f"{RAW_SECRET}\n")
        assert secret_file(tmp_path) == RAW_SECRET
        assert (tmp_path / "secret").read_text() == f"{RAW_SECRET}\n"

    def test_the_first_of_two_processes_wins(self, tmp_path, monkeypatch):
        """Another process makes the file between our look and our write: its secret is ours."""
        real = secrets.token_urlsafe

        def token_urlsafe(count):
            (tmp_path / "secret").write_text(RAW_SECRET)
            return real(count)

        monkeypatch.setattr(environment.secrets, "token_urlsafe", token_urlsafe)
        assert secret_file(tmp_path) == RAW_SECRET
        assert [p.name for p in tmp_path.iterdir()] == ["secret"]

    def test_eight_processes_make_one_secret(self, tmp_path):
        """Eight processes start at once, 20 times over: each time all have one secret (0600)."""
        program = (
            "import sys\n"
            "from pathlib import Path\n"
            "from sojourn.environment import secret_file\n"
            "print('ready', flush=True)\n"
            "for line in sys.stdin:\n"
            "    print(secret_file(Path(line.strip())), flush=True)\n"
        )
        path = str(Path(sojourn.__file__).parents[1])
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
            for _ in range(8)
        ]
        try:
            assert {p.stdout.readline() for p in processes} == {"ready\n"}
            for n in range(20):
                for process in processes:
                    process.stdin.write(f"{tmp_path / str(n)}\n")
                for process in processes:
                    process.stdin.flush()
                answers = {process.stdout.readline() for process in processes}
                assert answers == {(tmp_path / str(n) / "secret").read_text()}
                assert {p.name for p in (tmp_path / str(n)).iterdir()} == {"secret", ".gitignore"}
        finally:
            for process in processes:
                process.communicate()
        assert [process.returncode for process in processes] == [0] * 8
