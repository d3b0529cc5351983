"""The files for Docker say what the server takes. No engine is needed: what they run is run here."""

import json
import re
import shlex
import subprocess
import sys

import yaml
from docs.pages import ROOT
from servers import running_server

from sojourn.server.config import load_config

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
SECRET = "a-secret-of-the-documentation-0123456789"


def environment_of(service, **given):
    """Give a service's environment as compose does: `${NAME:-default}` and `${NAME:?why}` filled in."""

    def fill(match):
        name, sign, default = match.groups()
        assert sign == ":-" or name in given, name
        return given.get(name, default)

    return {
        name: re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", fill, str(value))
        for name, value in SERVICES[service]["environment"].items()
    }


def image_environment():
    """Give what the image sets for the server."""
    return dict(re.findall(r"\b(SOJOURN_\w+)=(\S+)", DOCKERFILE))


def healthcheck():
    """Give the command by which the image is found healthy."""
    command = json.loads(re.search(r"HEALTHCHECK .*?CMD (\[.*?\])\n", DOCKERFILE, re.DOTALL)[1])
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


def test_the_server_takes_what_the_files_set(tmp_path):
    """Image and compose file together are a configuration the server takes, behind TLS too."""
    given = {
        "SOJOURN_SECRET": SECRET,
        "POSTGRES_PASSWORD": "p4ssw0rd",
        "SOJOURN_URL": "https://auth.example.com",
        "SOJOURN_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    for some in (given, dict(list(given.items())[:2])):
        config = load_config(environ=image_environment() | environment_of("sojourn", **some))
        assert config.host == "0.0.0.0"  # noqa: S104 - in a container
        assert config.store == "redis://valkey:6379/0"
        assert config.database == "postgresql://sojourn:p4ssw0rd@postgres:5432/sojourn"
        assert config.settings.is_development == ("SOJOURN_URL" not in some)


def test_a_secret_has_to_be_given():
    """Without a secret and a password, compose refuses to start anything."""
    for service, name in (("sojourn", "SOJOURN_SECRET"), ("postgres", "POSTGRES_PASSWORD")):
        assert f"${{{name}:?" in SERVICES[service]["environment"][name]
    assert "SOJOURN_SECRET" not in image_environment()


def test_services_lean_on_each_other():
    """What is waited for has a health check, each volume is declared, each image has a version."""
    for name in SERVICES["sojourn"]["depends_on"]:
        assert "healthcheck" in SERVICES[name]
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert used == set(COMPOSE["volumes"])
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    assert all(re.fullmatch(r"[\w/]+:\d+", image) for image in images)
    assert "noeviction" in SERVICES["valkey"]["command"]


def test_the_image_is_made_of_what_there_is():
    """Each file that is copied exists, is let through, and the extras are the project's."""
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    extras = re.search(r'"\.\[([\w,]+)\]"', DOCKERFILE)[1].split(",")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f"\n{extra} = [" in project for extra in extras)
    assert shlex.split(SERVICES["sojourn"]["command"][0]) == ["sojourn"]


def test_it_runs_on_both_engines(tmp_path, namespace, shared_postgres, shared_valkey):
    """With the compose file's environment and real engines it is healthy; without a server it is not."""
    set_by_files = environment_of("sojourn", SOJOURN_SECRET=SECRET, POSTGRES_PASSWORD="x")
    environment = set_by_files | {
        "SOJOURN_STORE": f"{shared_valkey.url}?prefix={namespace}",
        "SOJOURN_DATABASE": shared_postgres.new_schema(),
        "SOJOURN_WORKERS": "2",
    }
    del environment["SOJOURN_URL"]
    command = healthcheck()
    with running_server(tmp_path, **environment) as server:
        asked = [part.replace("http://127.0.0.1:8000", server.url) for part in command]
        assert subprocess.run(asked, check=False).returncode == 0
    gone = subprocess.run(asked, check=False, stderr=subprocess.DEVNULL)
    assert gone.returncode != 0
