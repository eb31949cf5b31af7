"""A small HTTP client for measurements: connections that are kept open, as those of a browser or a player are."""

import asyncio


class Client:
    """So many connections to a server on this machine."""

    def __init__(self, port: int, connections: int):
        self.port, self.idle = port, asyncio.LifoQueue()
        for _ in range(connections):
            self.idle.put_nowait(None)

    async def get(self, path: str) -> int:
        """The status of the answer, once all of it is there; 0 without one."""
        return await self.ask(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())

    async def post(self, path: str, body: bytes) -> int:
        """The same for a POST of NDJSON."""
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
        return await self.ask(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def ask(self, request: bytes) -> int:
        """Waits for a connection, sends, and reads the whole answer."""
        connection = await self.idle.get()
        try:
            connection = connection or await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = connection
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"transfer-encoding: chunked" in head:
                while size := int(await reader.readline(), 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            else:
                await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
            return int(head.split(b" ")[1])
        except (OSError, asyncio.IncompleteReadError):
            connection = None
            return 0
        finally:
            self.idle.put_nowait(connection)
