"""The two drivers of a flow: one fetches in the calling thread, one lets a thread fetch and awaits.

The thread is the fetch's own, not one of the loop's executor: that may be full of the application's
work, and a request that is cancelled must not take the answer from those who wait with it.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TypeVar

from sojourn.verifier.checking import Boarded, Flow
from sojourn.verifier.flights import PATIENCE_SECONDS, Flight

T = TypeVar("T")


def run(flow: Flow[T]) -> T:
    """Run a flow to its end, fetching in this thread."""
    try:
        boarded = next(flow)
        while True:
            try:
                _fetch(boarded)
            except Exception as error:  # noqa: BLE001 - the flow's to judge
                boarded = flow.throw(error)
            else:
                boarded = next(flow)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def run_awaited(flow: Flow[T]) -> T:
    """Run a flow to its end, awaiting what is fetched."""
    try:
        boarded = next(flow)
        while True:
            try:
                await _fetch_awaited(boarded)
            except Exception as error:  # noqa: BLE001 - the flow's to judge
                boarded = flow.throw(error)
            else:
                boarded = next(flow)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _fetch(boarded: Boarded) -> None:
    if not boarded.is_awaited:
        _start(boarded.flight)
        return
    if boarded.is_mine:
        boarded.flight.run()
    boarded.flight.await_blocking()


async def _fetch_awaited(boarded: Boarded) -> None:
    flight = boarded.flight
    if boarded.is_mine:
        _start(flight)
    if not boarded.is_awaited:
        return
    try:
        # Not asyncio.wait_for: in Python 3.11 it may keep a cancellation to itself.
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wrap_future(flight.future)
    except TimeoutError:
        flight.give_up()
        flight.future.result()


def _start(flight: Flight) -> None:
    try:
        threading.Thread(target=flight.run, name="sojourn-fetch", daemon=True).start()
    except RuntimeError:  # the system has no more threads; nobody must wait for what never began
        flight.give_up()
