"""What is installed or started once for the tests of the doors."""

import pytest


@pytest.fixture(scope="session")
def node_home(request, tmp_path_factory):
    """Give the folder with the Node.js packages, kept with pytest's cache."""
    from doors.node_app import installed

    cache = getattr(request.config, "cache", None)
    return installed(cache.mkdir("npm-doors") if cache else tmp_path_factory.mktemp("npm"))
