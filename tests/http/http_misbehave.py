#!/usr/bin/env python3
"""Misbehaving guests and clients: each costs its request a proper status with a reason, the server
and everybody else nothing."""
import json
import socket
import struct
import time

from weir_http import CONFIG, PATIENCE, account, equal, main, until


BUSY = """  - {{ path: /busy, module: misbehave.wasm,
      limits: {{ memory: 4MiB, time: 600s, concurrency: 4 }} }}
"""


def refused(server, path, status, error, method="GET", body=None):
    got, headers, text = server.request(method, path, body)
    equal(got, status, path)
    equal(headers["Content-Type"], "application/json", path)
    answer = json.loads(text)
    equal(answer["error"], error, path)
    equal(bool(answer["reason"]), True, "a reason")
    return answer, headers


def test_each_misbehaviour(server):
    for act, status, error in (
            ("trap", 500, "trap"), ("recurse", 500, "trap"), ("wild", 500, "trap"),
            ("bomb", 500, "trap"), ("exit=3", 502, "exit"), ("silent", 502, "no_answer"),
            ("garbage", 502, "bad_header"), ("short", 502, "wrong_length"),
            ("loop", 504, "deadline"), ("sleep", 504, "deadline")):
        refused(server, "/misbehave?" + act, status, error)
        equal(server.get("/hello")[0], 200, "others are served after " + act)


def test_reasons(server):
    bomb, _ = refused(server, "/misbehave?bomb", 500, "trap")
    equal(bomb["limit_bytes"], 16 << 20, "the limit that was met")
    equal(bomb["used_bytes"] <= bomb["limit_bytes"], True)
    equal("memory was refused" in bomb["reason"], True)
    wild, _ = refused(server, "/misbehave?wild", 500, "trap")
    equal(wild["trap"], "memory_bounds")
    equal("limit_bytes" in wild, False, "a slot that was used before does not remember")
    trap, _ = refused(server, "/misbehave?trap", 500, "trap")
    equal((trap["trap"], trap["at"].split()[0]), ("unreachable", "trap"))
    fuel, _ = refused(server, "/fuel?loop", 504, "fuel")
    equal(fuel["limit_fuel"], 1000000)


def test_started_answers_are_cut(server):
    for act in ("flood", "late"):
        with server.socket() as raw:
            raw.sendall(b"GET /misbehave?%s HTTP/1.1\r\nHost: x\r\n\r\n" % act.encode())
            got = b""
            try:
                while chunk := raw.recv(65536):
                    got += chunk
            except ConnectionResetError:
                pass
        equal(got.startswith(b"HTTP/1.1 200"), True, act)
        equal(got.endswith(b"0\r\n\r\n"), False, act + " must not look complete")
        equal(len(got) < 2 << 20, True, act)


def test_hoarded_memory_is_gone(server):
    equal(server.get("/misbehave?hoard")[2], b"14 MiB\n")
    equal(server.get("/misbehave?hoard")[2], b"14 MiB\n", "a fresh state")
    server.wait_idle()
    memory = server.memory()
    largest = max((entry["private_bytes"] for entry in memory["memories"]), default=0)
    equal(largest <= 2 << 20, True, "nothing of it is kept")


def test_busy(server):
    """Four loops fill the route; the fifth request is refused at once."""
    loops = [server.socket() for _ in range(4)]
    for raw in loops:
        raw.sendall(b"GET /busy?loop HTTP/1.1\r\nHost: x\r\n\r\n")
    until("all places are taken",
          lambda: server.metric(r'^weir_pool_in_use\{route="/busy"\}') == 4)
    status, headers, text = server.get("/busy")
    equal((status, headers["Retry-After"]), (429, "1"))
    equal((json.loads(text)["error"], json.loads(text)["limit_requests"]), ("busy", 4))
    equal(server.get("/hello")[0], 200, "other routes are served")
    for raw in loops:
        raw.close()
    server.wait_idle()
    equal(server.get("/busy")[0], 200, "and then again")


def test_body_over_limit(server):
    answer, _ = refused(server, "/hello", 413, "body_too_large", "POST", b"x" * 70000)
    equal((answer["limit_bytes"], answer["used_bytes"]), (65536, 70000))
    connection = server.connect()
    connection.request("POST", "/hello", iter([b"y" * 30000] * 5),
                       {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    response = connection.getresponse()
    equal((response.status, json.loads(response.read())["error"]), (413, "body_too_large"))
    connection.request("GET", "/hello")
    equal(connection.getresponse().status, 200, "the connection goes on")
    connection.close()


def test_expect_is_refused_before_the_body(server):
    with server.socket() as raw:
        raw.sendall(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        equal(raw.recv(65536).split()[1], b"413")


def test_guests_that_do_not_read(server):
    status, _, body = server.request("POST", "/hello", b"z" * 60000)
    equal((status, body), (200, b"hello, world\n"))
    status, _, _ = server.request("POST", "/misbehave?trap", b"z" * 60000)
    equal(status, 500)


def test_large_heads(server):
    equal(server.request("GET", "/hello", headers={"X-Large": "x" * 22000})[0], 431)
    many = {f"X-Field-{number}": "v" for number in range(200)}
    connection = server.connect()
    connection.request("GET", "/hello", headers=many)
    response = connection.getresponse()
    equal(response.status, 431)
    response.read()
    connection.close()


def test_slow_body(server):
    """A client that trickles its body is told so and cut off; everybody else is served."""
    with server.socket() as raw:
        raw.sendall(b"POST /transform HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        end = time.monotonic() + PATIENCE
        raw.settimeout(0.1)
        got = b""
        while time.monotonic() < end:
            try:
                chunk = raw.recv(65536)
                if not chunk:
                    break
                got += chunk
            except TimeoutError:
                try:
                    raw.sendall(b"x")
                except (BrokenPipeError, ConnectionResetError):
                    break
            except ConnectionResetError:
                break
        equal(time.monotonic() < end, True, "not for ever")
    equal(got.split()[1] if got else got, b"408")
    equal(server.get("/hello")[0], 200)


def test_slow_head(server):
    with server.socket() as raw:
        end = time.monotonic() + PATIENCE
        raw.sendall(b"GET /hello HTTP/1.1\r\n")
        try:
            while time.monotonic() < end:
                raw.sendall(b"X-A: b\r\n")
                time.sleep(0.2)
        except (BrokenPipeError, ConnectionResetError):
            pass
        equal(time.monotonic() < end, True, "the head's time is bounded")


def test_slow_reader(server):
    """A client that does not read its 100 MB answer loses it; the guest is stopped."""
    with server.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sendall(b"POST /transform HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
        block = b"a" * 1000000
        for _ in range(20):
            raw.sendall(block)
        server.wait_idle()
    equal(server.get("/hello")[0], 200)


def test_client_that_leaves(server):
    """A reset while the guest loops in a worker: it is stopped long before its time is up."""
    before = server.metric(r'weir_refusals_total\{route="/transform"')
    raw = server.socket()
    raw.sendall(b"POST /transform HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    server.wait_active(1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
    server.wait_idle()
    equal(server.metric(r'weir_refusals_total\{route="/transform"') > before, True)
    raw = server.socket()
    raw.sendall(b"GET /fuel?sleep HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_active(1)
    raw.close()
    server.wait_idle()  # its sleep of an hour is over, and its ten minutes are not


def test_many_idle_connections(server):
    idle = [server.socket() for _ in range(200)]
    equal(server.get("/hello")[0], 200)
    for raw in idle:
        raw.close()


def test_ledger_is_back(server):
    server.wait_idle()
    memory = server.memory()
    equal(memory["holds"], True, "equation (a)")
    for route in ("/hello", "/misbehave", "/transform"):
        tenant = account(memory["accounts"], route)
        used = tenant["used_bytes"]
        equal(used <= 24 << 20, True, f"{route} holds warm slots and buffers only: {used}")
    for pool in memory["pools"]:
        equal(pool["in_use"], 0, pool["route"])


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")],
         CONFIG + BUSY)
