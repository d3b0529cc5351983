"""Fixtures: the dimensions every promise is kept in, and the maker of engines."""

import pytest
from engine.harness import MODES, STORED_MODES, TRANSPORTS, Bench


@pytest.fixture(params=("async", "sync"))
def face(request):
    """`AsyncSojourn`, and `Sojourn` behind awaitable methods."""
    return request.param


@pytest.fixture(params=("memory", "sqlite"))
def kind(request):
    """Which store."""
    return request.param


@pytest.fixture(params=MODES)
def mode(request):
    """Each mode."""
    return request.param


@pytest.fixture(params=STORED_MODES)
def stored_mode(request):
    """Each mode that stores a session."""
    return request.param


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    """How a client carries its proofs."""
    return request.param


@pytest.fixture
async def keep_open():
    """Close what a test opened, the latest first."""
    benches = []
    yield benches.append
    for bench in reversed(benches):
        await bench.close()


@pytest.fixture
def make(face, kind, tmp_path, keep_open):
    """Make an engine, on each face and each store."""

    def make(mode="hybrid", **options):
        bench = Bench(face, kind, tmp_path, mode=mode, **options)
        keep_open(bench)
        return bench

    return make


@pytest.fixture
def make_memory(face, tmp_path, keep_open):
    """Make an engine on each face, over a memory store: for what a test steps into."""

    def make(mode="hybrid", **options):
        bench = Bench(face, "memory", tmp_path, mode=mode, **options)
        keep_open(bench)
        return bench

    return make


@pytest.fixture
def another(keep_open):
    """Make a second engine on the data of a first."""

    def another(bench, **changes):
        second = bench.another(**changes)
        keep_open(second)
        return second

    return another
