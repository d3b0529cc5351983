"""Django, in a process of its own: it can be configured only once."""

import os
import subprocess
import sys
from pathlib import Path

import sojourn

HERE = Path(__file__).parent


def test_what_is_promised_of_django(tmp_path):
    """Sessions of every engine, simplejwt and passwords: each promise of `django_promises.py` is kept."""
    paths = [str(Path(sojourn.__file__).parents[1]), str(HERE.parent)]
    options = [
        "-q",
        "-x",
        "-p",
        "doors.django_site",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:django",
        "-p",
        "no:asyncio",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-c", os.devnull, "-W", "error",
         "--rootdir", str(HERE), "--import-mode=importlib", str(HERE / "django_promises.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "SOJOURN_TEST_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
