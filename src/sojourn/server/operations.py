"""For those who run the server: liveness, readiness, metrics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sojourn.errors import SojournError
from sojourn.ports import OPERATIONS, AsyncStore
from sojourn.server.api import answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sojourn.engine.picture import Picture
    from sojourn.starlette import Auth

READS = frozenset({"head", "get", "list", "read", "get_data", "get_document", "read_audit"})


class Metrics:
    """What is counted, in a registry of its own."""

    def __init__(self) -> None:
        """Register the metrics."""
        self.registry = CollectorRegistry()
        self.store_operations = Counter(
            "sojourn_store_operations",
            "Operations of the store by name, and whether they read or write.",
            ["operation", "kind"],
            registry=self.registry,
        )
        self.requests = Counter(
            "sojourn_requests",
            "Answered requests by status class.",
            ["status"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "sojourn_refusals",
            "Refused requests by code.",
            ["code"],
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "sojourn_feed_lag_seconds",
            "How old this process's picture of revocations is.",
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.view_entries = Gauge(
            "sojourn_view_entries",
            "Revocations and changes remembered by this process.",
            multiprocess_mode="livemax",
            registry=self.registry,
        )

        self.gaps = Gauge(
            "sojourn_feed_gaps",
            "How often this process found the feed broken and took a snapshot.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )

    def observe(self, picture: Picture) -> None:
        """Read off what changes by itself."""
        self.lag_seconds.set(picture.lag_ms() / 1000)
        self.view_entries.set(len(picture.view))
        self.gaps.set(picture.gaps)

    def text(self) -> bytes:
        """Give all in Prometheus' text format; with several workers, those of all of them."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)

    def counted(self, store: AsyncStore) -> AsyncStore:
        """Present a store whose operations are counted where they are called."""
        return cast("AsyncStore", _Counted(store, self.store_operations))


class _Counted:
    def __init__(self, store: AsyncStore, counter: Counter) -> None:
        self.feed = store.feed
        for name in OPERATIONS:
            kind = "read" if name in READS else "write"
            counted = _counting(getattr(store, name), counter.labels(name, kind).inc)
            setattr(self, name, counted)


def _counting(
    operation: Callable[..., Awaitable[Any]], count: Callable[[], None]
) -> Callable[..., Awaitable[Any]]:
    async def counted(*args: Any, **kwargs: Any) -> Any:
        count()
        return await operation(*args, **kwargs)

    return counted


class Operations:
    """The endpoints.

    Args:
        auth: The adapter.
        metrics: What is counted.
    """

    def __init__(self, auth: Auth[Any], metrics: Metrics) -> None:
        """Take the parts."""
        self.auth = auth
        self.metrics = metrics

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/livez", self.livez, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.show_metrics, methods=["GET"]),
        ]

    async def livez(self, request: Request) -> Response:
        """Say that the process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """Say whether the store answers, and how old the picture of revocations is."""
        core = self.auth.sojourn.core
        try:
            await core.ready()
            await core.store.head(0)
        except SojournError as error:
            return answer({"ready": False, "code": error.code}, 503)
        return answer({"ready": True, "lag_seconds": core.picture.lag_ms() / 1000})

    async def show_metrics(self, request: Request) -> Response:
        """Show the metrics in Prometheus' text format."""
        self.metrics.observe(self.auth.sojourn.core.picture)
        return Response(self.metrics.text(), media_type="text/plain")
