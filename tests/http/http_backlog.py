#!/usr/bin/env python3
"""Connections that the kernel has taken and the host has not, since it has as many as it may: at a
stop each is told 503, also those that have sent nothing, left, or do not end sending."""
import json
import signal
import sys
import time

from weir_http import equal, parse_options, serving

CONFIG = """
cache: {cache}
server: {{ loops: 1, workers: 1, connections_max: 2, drain_timeout: 100ms, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, limits: {{ memory: 4MiB, concurrency: 2 }} }}
"""
ASKS = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


def waiting(port):
    """Connections in the queue of the listening socket."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[1] == f"0100007F:{port:04X}" and fields[3] == "0A":
                return int(fields[4].split(":")[1], 16)
    raise AssertionError("nobody listens")


def wait_waiting(port, count):
    end = time.monotonic() + 60
    while waiting(port) != count:
        if time.monotonic() > end:
            raise AssertionError(f"{waiting(port)} wait, not {count}")
        time.sleep(0.01)


def read_all(client):
    got = b""
    try:
        while chunk := client.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    return got


def main():
    parse_options()
    with serving(CONFIG) as server:
        holders = [server.connect() for _ in range(2)]
        for holder in holders:
            holder.request("GET", "/hello")
            equal(holder.getresponse().read(), b"hello, world\n")
        clients = [server.socket() for _ in range(20)]
        for client in clients[:10]:
            client.sendall(ASKS)
        server.socket().close()
        flood = server.socket()
        flood.setblocking(False)
        try:
            while True:
                flood.send(b"x" * 65536)
        except BlockingIOError:
            pass
        wait_waiting(server.port, 22)
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            head, _, body = read_all(client).partition(b"\r\n\r\n")
            equal(head.split(b"\r\n")[0], b"HTTP/1.1 503 Service Unavailable")
            equal((b"Retry-After: 5" in head, b"Connection: close" in head), (True, True), head)
            equal(json.loads(body)["error"], "draining")
            equal(int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]), len(body))
        code = server.process.wait(60)
        for one in (*clients, *holders, flood):
            one.close()
        server.process.stdout.close()
        equal(code, 0, server.read_log())
    sys.exit(0)


if __name__ == "__main__":
    main()
