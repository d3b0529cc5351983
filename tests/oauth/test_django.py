"""A login with Authlib against an OpenID provider ends in a Sojourn session, in Django."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("django_login.py")


@pytest.mark.parametrize("mode", ["session", "hybrid"])
def test_login_at_a_provider_ends_in_a_session(issuer, mode):
    """`django.contrib.auth.login` in the callback makes a session of ours, which can be revoked.

    In a process of its own: Django is configured once.
    """
    environment = {"PYTHONPATH": ":".join([str(PROGRAM.parents[1]), *sys.path])}
    done = subprocess.run(
        [sys.executable, PROGRAM, issuer, mode],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "signed in, and out") == (done.returncode, done.stdout.strip()), done.stderr
