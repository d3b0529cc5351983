"""A balancer of the plainest kind: each connection goes to the next server that accepts one."""

import asyncio
import itertools
import sys
from contextlib import suppress


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(port: int, servers: list[int]) -> None:
    """Listen until the process ends.

    Args:
        port: Where.
        servers: The ports of the servers, in turn.
    """
    turn = itertools.cycle(range(len(servers)))

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        first = next(turn)
        for offset in range(len(servers)):
            with suppress(OSError):
                server = servers[(first + offset) % len(servers)]
                return await asyncio.open_connection("127.0.0.1", server)
        raise ConnectionError("no server answers")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await connect()
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    listening = await asyncio.start_server(handle, "127.0.0.1", port)
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
