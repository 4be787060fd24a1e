"""10,000 calls of a filter through `weir serve`: answered, failed, timed out, and answered when
their stream is gone, in turn. Each is sent once and told once, and nothing of them stays."""
import asyncio
import json
import multiprocessing
import time

from weir_http import Options, equal, main, until

CALLS = 10000
CONNECTIONS = 32
DEEDS = {  # → path at the upstream, status, x-call that the upstream gets and echoes
    "call": ("/path", 200, b"200"),
    "call-drop": ("/drop", 200, b"empty"),
    "call-late": ("/late", 200, b"empty"),
    "call-go": ("/wait", 403, None),
}
KEYS = """
memory_max: 1GiB
cache: {cache}
server: {{ loops: 2, workers: 2, drain_timeout: 3s, spool: {spool}, filter_threads: 2 }}
upstreams: [ {{ name: up, url: "http://127.0.0.1:PORT", connections: 32, timeout: 60s }} ]
routes:
  - path: /calls
    upstream: up
    limits: {{ concurrency: 64 }}
    filters: [ {{ name: caller, module: filter_probe.wasm, configuration: none, log: error }} ]
"""


def fields_of(head):
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines}


class Upstream(asyncio.Protocol):
    """Counts what it was asked by path. `/late` is answered too late, `/wait` when the stream that
    asked is gone, `/drop` never; all else with the x-call that came."""
    seen = dict.fromkeys((path for path, _, _ in DEEDS.values()), 0)
    DELAYS = {"/late": 0.5, "/wait": 0.05}

    def __init__(self):
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        fields = fields_of(head)
        size = 5 if b"transfer-encoding" in fields else int(fields.get(b"content-length", 0))
        if len(rest) < size:
            return
        self.data = b""
        path = head.split(b" ")[1].decode()
        if path in self.seen:
            self.seen[path] += 1
        body = json.dumps(self.seen).encode() if path == "/seen" else b""
        call = fields.get(b"x-call", b"none") or b"empty"
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Echo: %s\r\n\r\n%s" % (
            len(body), call, body)
        if path == "/drop":
            self.transport.close()
        else:
            asyncio.get_running_loop().call_later(self.DELAYS.get(path, 0), self.answer, answer)

    def answer(self, answer):
        if not self.transport.is_closing():
            self.transport.write(answer)


def serve_upstream(pipe):
    async def serve():
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0,
                                                                backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()
    asyncio.run(serve())


async def ask(reader, writer, path, deed):
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nx-do: {deed}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    fields = fields_of(head)
    body = await reader.readexactly(int(fields[b"content-length"]))
    return int(head.split(b" ")[1]), fields.get(b"x-echo"), body


async def make_calls(port, numbers):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in numbers:
        deed = list(DEEDS)[number % len(DEEDS)]
        status, call, body = await ask(reader, writer, "/calls", deed)
        equal((status, call), DEEDS[deed][1:], f"{number} {deed}: {body}")
    writer.close()


async def make_all(port, count):
    numbers = iter(range(count))
    await asyncio.gather(*(make_calls(port, numbers) for _ in range(CONNECTIONS)))


async def seen():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    _, _, body = await ask(reader, writer, "/seen", "")
    writer.close()
    return json.loads(body)


def view_of(server):
    return json.loads(server.get("/v1/filters")[2])["filters"][0]


def test_ten_thousand_calls(server):
    count = CALLS // 10 if Options.sanitized else CALLS
    begin = time.monotonic()
    asyncio.run(make_all(server.port, count))
    took = time.monotonic() - begin
    until("all are told", lambda: view_of(server)["call_answers"] >= count)
    view = view_of(server)
    print(f"{count} calls in {took:.1f} s, {count / took:.0f} a second")
    equal((view["calls"], view["call_answers"], view["failures"]), (count, count, 0))
    asked = asyncio.run(seen())
    late = asked.pop("/late")  # whose time ended while it was not sent yet was not seen
    equal(asked, {path: count // len(DEEDS) for path in asked})
    assert 0 < late <= count // len(DEEDS), late
    server.wait_idle()
    held = sum(view_of(server)["kinds"].get(kind, 0) for kind in ("header_map", "host_buffer"))
    assert held < 4096, view_of(server)


if __name__ == "__main__":
    OURS, THEIRS = multiprocessing.Pipe()
    multiprocessing.Process(target=serve_upstream, args=(THEIRS,), daemon=True).start()
    PORT = OURS.recv()
    main([test_ten_thousand_calls], KEYS.replace("PORT", str(PORT)))
