"""One process that refreshes one handle many times from several threads, as Django's workers do.

Usage: django_refresher.py HANDLE COUNT THREADS GRACE_SECONDS, with DJANGO_TEST_DATABASE; it says "ready",
begins at a line on its input, and prints what came of it as JSON.
"""

import collections
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import django
from django.db import connections

from sojourn import Incoming, Sojourn, SojournError

URL = "http://127.0.0.1:8000"


def refresh_many(auth, handle, count):
    outcomes, successors = collections.Counter(), set()
    try:
        for _ in range(count):
            try:
                successors.add(auth.refresh(Incoming(), refresh_token=handle).refresh_token)
                outcomes["ok"] += 1
            except SojournError as error:
                outcomes[error.code] += 1
    finally:
        connections.close_all()
    return outcomes, successors


def main():
    handle, count, threads, grace_seconds = sys.argv[1:]
    django.setup()
    outcomes, successors = collections.Counter(), set()
    options = {"mode": "hybrid", "url": URL, "grace_seconds": int(grace_seconds)}
    with Sojourn("django://default", **options) as auth, ThreadPoolExecutor(int(threads)) as pool:
        print("ready", flush=True)
        sys.stdin.readline()
        jobs = [pool.submit(refresh_many, auth, handle, int(count)) for _ in range(int(threads))]
        for job in jobs:
            one_outcomes, one_successors = job.result()
            outcomes += one_outcomes
            successors |= one_successors
    print(json.dumps({"outcomes": outcomes, "successors": sorted(successors)}), flush=True)


if __name__ == "__main__":
    main()
