"""What is installed: the wheel, what it needs, and what it brings."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import sojourn

ALLOWED = {"cryptography", "msgspec", "cffi", "_cffi_backend", "pycparser", "typing_extensions"}

PROGRAM = f"""
import sys, importlib.util
class Refuse:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if path is None and root not in sys.stdlib_module_names and root not in {ALLOWED | {"sojourn"}!r}:
            raise ModuleNotFoundError(f"not installed: {{name}}")
sys.meta_path.insert(0, Refuse())
import sojourn
with sojourn.Sojourn("memory://", mode="hybrid", url="http://127.0.0.1:8000") as auth:
    signed_in = auth.login(sojourn.Incoming(), "ann", transport="bearer")
    bearer = sojourn.Incoming(authorization="Bearer " + signed_in.access_token)
    print(auth.check(bearer).principal.subject)
import sojourn.stores.sqlite
"""


def test_import_needs_cryptography_and_msgspec_only():
    """The library works where nothing else is installed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (0, "ann\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.skipif("SOJOURN_TEST_WHEEL" not in os.environ, reason="./test installs the wheel")
def test_the_wheel_is_what_is_tested():
    """The tests import the built wheel, not the tree."""
    assert "site-packages" in Path(sojourn.__file__).parts


def test_the_wheel_brings_types_templates_and_styles():
    """A type checker finds the types, and the server its pages."""
    folder = Path(sojourn.__file__).parent
    assert (folder / "py.typed").exists()
    assert list((folder / "server" / "templates").glob("*.html"))
    assert list((folder / "server" / "static").glob("*.css"))


def test_version():
    """The installed version is the package's own."""
    assert "0.1.0" == sojourn.__version__
    if "SOJOURN_TEST_WHEEL" in os.environ:
        assert version("sojourn") == sojourn.__version__


def test_what_testing_brings():
    """`sojourn.testing` gives what its page names, and nothing under another name."""
    from sojourn import testing

    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Clock'"):
        _ = testing.Clock
