"""One process of several that share a file of tokens: ``python one_process.py URL FILE PATH THREADS``.

Says "ready", waits for a line, sends a request from each thread at once, and prints the statuses.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx2

from sojourn.client import SignIn, TokenFile
from sojourn.client.httpx2 import BearerAuth


def main() -> None:
    url, file, path, threads = sys.argv[1:]
    together = Barrier(int(threads))
    sign_in = SignIn(url, storage=TokenFile(file))
    with httpx2.Client(auth=BearerAuth(sign_in), timeout=20) as client:

        def one(_: int) -> int:
            together.wait()
            return client.get(url + path).status_code

        print("ready", flush=True)
        sys.stdin.readline()
        with ThreadPoolExecutor(int(threads)) as pool:
            print(json.dumps(list(pool.map(one, range(int(threads))))), flush=True)


if __name__ == "__main__":
    main()
