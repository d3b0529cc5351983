"""However many need a renewal at once, one refresh is made: threads, tasks, both, and processes."""

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import httpx2
import pytest
from client.conftest import Client

from sojourn.client import Answer, TokenFile, Urllib
from sojourn.client.flight import SingleFlight
from sojourn.client.httpx2 import BearerAuth
from sojourn.testing import ManualClock

SESSION = "/auth/session"
MANY = 24


class Held:
    """A refresh that is under way until the test lets it end."""

    def __init__(self):
        self.begun, self.may_end = Event(), Event()
        self.count = 0

    def __call__(self, url, body, *, authorization=""):
        answer = Urllib()(url, body, authorization=authorization)
        if url.endswith("/refresh"):
            self.count += 1
            self.begun.set()
            assert self.may_end.wait(20)
        return answer


@pytest.fixture
def held(service):
    """Somebody whose access token is over, and the refresh in the test's hand."""
    send = Held()
    client = Client(service, send=send)
    client.login()
    client.outlive_access()
    yield client, send
    send.may_end.set()


def wait_for_requests(service, number):
    """Wait until so many requests have come, all of them with the old token."""
    while service.asked["GET " + SESSION] < number:
        Event().wait(0.005)


def test_many_threads(service, held):
    """One POST for all, and everybody's request is repeated with its result."""
    client, send = held
    with (
        httpx2.Client(auth=BearerAuth(client.sign_in), timeout=20) as http,
        ThreadPoolExecutor(MANY) as pool,
    ):
        asked = [pool.submit(http.get, service.url + SESSION) for _ in range(MANY)]
        wait_for_requests(service, MANY)
        send.may_end.set()
        assert [200] * MANY == [each.result().status_code for each in asked]
    assert (1, 1) == (send.count, service.refreshes)


async def test_many_tasks(service, held):
    """The same on an event loop, which goes on meanwhile."""
    client, send = held
    async with httpx2.AsyncClient(auth=BearerAuth(client.sign_in), timeout=20) as http:
        asked = [asyncio.create_task(http.get(service.url + SESSION)) for _ in range(MANY)]
        await asyncio.to_thread(wait_for_requests, service, MANY)
        send.may_end.set()
        assert [200] * MANY == [(await each).status_code for each in asked]
    assert (1, 1) == (send.count, service.refreshes)


async def test_threads_and_tasks_together(service, held):
    """A blocking and an awaiting client of one sign-in share the refresh."""
    client, send = held
    auth = BearerAuth(client.sign_in)
    async with httpx2.AsyncClient(auth=auth, timeout=20) as awaiting:
        with httpx2.Client(auth=auth, timeout=20) as blocking:
            asked = [
                *(awaiting.get(service.url + SESSION) for _ in range(8)),
                *(asyncio.to_thread(blocking.get, service.url + SESSION) for _ in range(4)),
            ]
            gathered = asyncio.gather(*asked)
            await asyncio.to_thread(wait_for_requests, service, len(asked))
            send.may_end.set()
            assert [200] * len(asked) == [each.status_code for each in await gathered]
    assert (1, 1) == (send.count, service.refreshes)


async def test_who_blocks_the_event_loop_gets_the_refresh_of_its_tasks(service, held):
    """A blocking call on the loop's own thread waits for a refresh that a task began: no deadlock."""
    client, send = held
    async with httpx2.AsyncClient(auth=BearerAuth(client.sign_in), timeout=20) as awaiting:
        task = asyncio.create_task(awaiting.get(service.url + SESSION))
        await asyncio.to_thread(send.begun.wait, 20)
        asyncio.get_running_loop().call_soon(send.may_end.set)
        await asyncio.sleep(0)
        client.sign_in.refresh()
        assert 200 == (await task).status_code
    assert 1 == service.refreshes


async def test_a_cancelled_caller_loses_nothing(service, held):
    """The refresh goes on and is kept, though nobody waits for it any longer."""
    client, send = held
    async with httpx2.AsyncClient(auth=BearerAuth(client.sign_in), timeout=20) as http:
        task = asyncio.create_task(http.get(service.url + SESSION))
        await asyncio.to_thread(send.begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        send.may_end.set()
        assert 200 == (await http.get(service.url + SESSION)).status_code
    assert 1 == service.refreshes


def test_a_late_refusal_of_old_tokens_makes_no_second_refresh(service, client):
    """A 401 to tokens that were renewed meanwhile is answered with the newer ones."""
    client.login()
    used = client.sign_in.ready()
    client.sign_in.refresh()
    problem = b'{"code": "refresh_required"}'
    late = Answer(401, "application/problem+json", problem)
    newer = client.sign_in.mended(used, late)
    assert used != newer == client.sign_in.ready()
    assert 1 == service.refreshes


def test_several_processes(service, tmp_path):
    """Processes that share a `TokenFile` make one refresh, whoever of them is first."""
    processes, threads = 4, 4
    file = tmp_path / "tokens"
    client = Client(service, storage=TokenFile(file))
    client.login()
    client.outlive_access()
    command = [sys.executable, Path(__file__).with_name("one_process.py")]
    command += [service.url, file, SESSION, str(threads)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        assert ["ready\n"] * processes == [each.stdout.readline() for each in running]
        for each in running:
            each.stdin.write("go\n")
            each.stdin.flush()
        told = [json.loads(each.communicate(timeout=60)[0]) for each in running]
    finally:
        for each in running:
            each.kill()
            each.wait()
    assert [[200] * threads] * processes == told
    assert 1 == service.refreshes


def test_a_process_that_dies_lets_the_next_one_in(tmp_path):
    """The lock of a killed process is free again."""
    program = (
        "import sys, time\nfrom sojourn.client import TokenFile\n"
        "with TokenFile(sys.argv[1]).locked():\n    print('held', flush=True)\n    time.sleep(60)"
    )
    file = tmp_path / "tokens"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, file], stdout=subprocess.PIPE, text=True
    )
    try:
        assert "held\n" == holder.stdout.readline()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with TokenFile(file).locked():
        pass


def test_a_flight_is_joined_and_then_over():
    """Who comes while it is under way gets its result; who comes later begins another."""
    flight, together, landed = SingleFlight(), Barrier(2), []

    def act():
        together.wait(20)
        landed.append(1)
        return len(landed)

    first, second = flight.join(act), flight.join(act)
    assert first is second
    assert not first.cancel()
    together.wait(20)
    assert 1 == second.result(20)
    third = flight.join(act)
    together.wait(20)
    assert 2 == third.result(20)


def test_a_flight_that_fails_fails_for_all():
    """Nothing is swallowed, and the next flight is another one."""
    flight = SingleFlight()

    def fail():
        raise OSError("the disk is full")

    for _ in range(2):
        with pytest.raises(OSError, match="disk is full"):
            flight.join(fail).result(20)


def test_clocks_of_clients_need_not_agree(service, client):
    """A client whose clock is an hour ahead refreshes each time, and is never signed out by it."""
    client.clock = ManualClock(now_ms=service.clock() + 3_600_000)
    client.login()
    with httpx2.Client(auth=BearerAuth(client.sign_in), timeout=20) as http:
        assert [200, 200] == [http.get(service.url + SESSION).status_code for _ in range(2)]
    assert [] == client.ends
