#!/usr/bin/env python3
"""Good requests: CGI environment, bodies of all sizes both ways, keep-alive, Weir's own pages."""
import http.client
import json
import os
import socket

from weir_http import CONFIG, Options, Thread, account, equal, main, serving, until


def test_hello(server):
    status, headers, body = server.get("/hello")
    equal((status, body), (200, b"hello, world\n"))
    equal(headers["Content-Type"], "text/plain")
    equal(headers["Content-Length"], "13")
    equal(server.get("/hello?name=Ada")[2], b"hello, Ada\n")


def test_head(server):
    status, headers, body = server.request("HEAD", "/hello")
    equal((status, headers["Content-Length"], body), (200, "13", b""))
    connection = server.connect()  # a guest may say the length of a body that it does not send
    for _ in range(2):
        connection.request("HEAD", "/misbehave?short")
        response = connection.getresponse()
        equal((response.status, response.headers["Content-Length"], response.read()),
              (200, "1000", b""))
    connection.close()


def test_environment(server):
    status, _, body = server.request(
        "POST", "/echo/a%20b/%C3%A9?x=%20y&z", b"the body",
        {"X-One": "1", "Content-Type": "text/x-test", "Proxy": "http://evil/", "Cookie": "a=b"})
    equal(status, 200)
    head, _, rest = body.partition(b"\n\n")
    equal(rest, b"the body")
    variables = dict(line.split("=", 1) for line in head.decode().splitlines())
    for name, value in {
            "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "SCRIPT_NAME": "/echo",
            "PATH_INFO": "/a b/\u00e9", "QUERY_STRING": "x=%20y&z", "CONTENT_TYPE": "text/x-test",
            "CONTENT_LENGTH": "8", "HTTP_X_ONE": "1", "HTTP_COOKIE": "a=b", "ROUTE": "yes",
            "SERVER_PORT": str(server.port), "REMOTE_ADDR": "127.0.0.1"}.items():
        equal(variables.get(name), value, name)
    equal("HTTP_PROXY" in variables, False, "Proxy")
    equal("HTTP_CONTENT_TYPE" in variables, False, "Content-Type twice")


def test_routes(server):
    equal(server.get("/hello/more")[0], 200, "below a route")
    equal(server.get("/hellomore")[0], 404, "beside a route")
    equal(server.get("/")[0], 404)
    equal(server.get("/hello%00")[0], 400, "encoded zero")
    equal(server.get("/hello%zz")[0], 400, "bad escape")
    equal(server.get("/hello?" + "q" * 5000)[0], 414, "long target")
    equal(server.request("POST", "/metrics", b"x")[0], 405)
    refusal = json.loads(server.get("/nowhere")[2])
    equal(refusal, {"error": "not_found", "reason": "no route begins this path"})
    for path, page in (("/v1/memry", "/v1/memory"), ("/Metrics/", "/metrics")):
        equal(json.loads(server.get(path)[2])["reason"],
              f"no route begins this path; did you mean {page}?")


def test_keep_alive(server):
    connection = server.connect()
    for number in range(50):
        connection.request("POST", "/transform", b"abc%d" % number)
        response = connection.getresponse()
        equal((response.status, response.read()), (200, b"ABC%d" % number))
    connection.close()


def test_pipelined(server):
    with server.socket() as raw:
        raw.sendall(b"GET /hello?name=1 HTTP/1.1\r\nHost: x\r\n\r\n"
                    b"GET /hello?name=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while chunk := raw.recv(65536):
            got += chunk
    equal(got.count(b"200 OK"), 2)
    equal(got.index(b"hello, 1") < got.index(b"hello, 2"), True)


def test_body_sizes(server):
    for size in (1, 4095, 16384, 65535, 65536, 65537, 131072, 1 << 20, 5_000_001):
        data = (os.urandom(size // 2) + b"a" * size)[:size]
        wanted = data.translate(bytes.maketrans(bytes(range(97, 123)), bytes(range(65, 91))))
        status, _, body = server.request("POST", "/transform", data)
        equal(status, 200, f"{size} bytes")
        equal(body == wanted, True, f"{size} bytes come back upper-case")


def test_chunked_upload(server):
    def pieces():
        for number in range(300):
            yield b"piece %d " % number * 100
    connection = server.connect()
    connection.request("POST", "/transform", pieces(), {"Transfer-Encoding": "chunked"},
                       encode_chunked=True)
    response = connection.getresponse()
    equal(response.status, 200)
    equal(response.read(), b"".join(pieces()).upper())
    connection.close()


def test_large_streams_in_little_memory(server):
    """100 MB each way: neither side of the guest may ever hold it."""
    block = b"some text to be changed, 64 bytes of it and then a line's end...\n" * 1000
    count = 100_000_000 // len(block)
    before = server.memory()["rss_bytes"]
    peaks = []

    def send(raw):
        raw.sendall(b"POST /transform HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    b"Content-Length: %d\r\n\r\n" % (len(block) * count))
        for number in range(count):
            raw.sendall(block)
            if number % 200 == 0:
                peaks.append(server.memory()["rss_bytes"])

    with server.socket() as raw:
        sender = Thread(target=send, args=(raw,))
        sender.start()
        received = 0
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(65536)
        equal(head.split()[1], b"200")
        chunk = head
        tail = b""
        while chunk:
            received += len(chunk)
            tail = (tail + chunk)[-200:]
            chunk = raw.recv(1 << 20)
        sender.join()
    equal(received > len(block) * count, True, "all of it, with chunk sizes")
    equal(tail.endswith(b"\r\n0\r\n\r\n"), True, "a proper end")
    growth = max(peaks) - before
    bound = 64 << 20 if Options.sanitized else 8 << 20  # a sanitizer keeps what was freed
    equal(growth < bound, True, f"resident memory grew by {growth} bytes")


def test_drops_leave_at_once(server):
    """What a guest has written is on its way before it sleeps, not when it ends."""
    with server.socket() as raw:
        raw.sendall(b"GET /misbehave?drip HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while chunk := raw.recv(65536):
            got += chunk
    for number in range(4):
        equal(b"drop %d\n" % number in got, True, f"drop {number}")
    equal(got.endswith(b"0\r\n\r\n"), True, "a proper end")
    with server.socket() as raw:
        raw.sendall(b"GET /fuel?stall HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while b"drop\n" not in got:
            chunk = raw.recv(65536)
            equal(chunk != b"", True, "the guest sleeps, and has not ended")
            got += chunk
    server.wait_idle()


def test_four_connections(server):
    failures = []

    def work(index):
        connection = server.connect()
        for number in range(200):
            connection.request("GET", f"/hello?name={index}-{number}")
            response = connection.getresponse()
            if response.read() != b"hello, %d-%d\n" % (index, number):
                failures.append((index, number))
        connection.close()

    threads = [Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])


def test_memory_page(server):
    server.wait_idle()
    memory = server.memory()
    equal(memory["holds"], True, "equation (a)")
    parts = sum(memory["classes"].values()) + memory["unclassified_bytes"]
    equal(abs(parts - memory["rss_bytes"]) <= 512 * 1024, True, "the parts are the whole")
    cgroup = memory["cgroup"]  # whichever this test runs in
    equal(len(cgroup["meaning"]) > 0, True)
    if "parts" in cgroup:
        equal(sum(cgroup["parts"].values()) + cgroup["unexplained_bytes"], cgroup["usage_bytes"])
        equal(cgroup["state"], "holds" if abs(cgroup["unexplained_bytes"])
              <= cgroup["tolerance_bytes"] else "broken")
    host = memory["accounts"]
    equal(host["role"], "host")
    route = account(host, "/hello")
    equal(route["role"], "tenant")
    for entry in memory["memories"]:
        equal(entry["reserved_bytes"] >= entry["accessible_bytes"] >= 0, True)
        equal(entry["resident_bytes"] >= entry["private_bytes"] >= 0, True)
    equal(memory["peak"]["used_bytes"] >= host["used_bytes"], True)
    equal("composition" in memory["peak"], True)


def test_metrics_page(server):
    status, headers, body = server.get("/metrics")
    equal(status, 200)
    equal(headers["Content-Type"].startswith("text/plain; version=0.0.4"), True)
    text = body.decode()
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                 "process_start_time_seconds", "weir_rss_bytes", "weir_equation_holds 1",
                 'weir_account_used_bytes{account="host"}', 'weir_pool_takes_total{route="/hello"}',
                 'weir_requests_total{route="/hello",status="2xx"}',
                 'weir_request_seconds_bucket{route="/hello",le="+Inf"}'):
        equal(name in text, True, name)
    seen = set()
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.rsplit(" ", 1)[0]
            equal(name in seen, False, f"{name} twice")
            seen.add(name)
            float(line.rsplit(" ", 1)[1])


FEW = """
cache: {cache}
server: {{ connections_max: 16, loops: 1, workers: 1, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm }}
"""


def wait_for_places(server):
    """Until the connections of clients that left are gone; beyond the last place one is closed."""
    def is_alone():
        try:
            return server.metric(r"^weir_connections_open$") == 1
        except (OSError, http.client.HTTPException):
            return False
    until("connections of clients that left are closed", is_alone)


def test_clients_that_end_with_their_last_bytes(_):
    """Their connections end with the answer, not when they have been idle for long. One whose guest
    was parked counts as having left, since a client that leaves looks the same; it gets none."""
    with serving(FEW) as server:
        for _ in range(200):
            with server.socket() as raw:
                raw.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
                raw.shutdown(socket.SHUT_WR)
        wait_for_places(server)
        answered = 0
        for _ in range(2000):  # one that has to wait for a processor is parked, too
            with server.socket() as raw:
                raw.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
                raw.shutdown(socket.SHUT_WR)
                answer = b""
                while chunk := raw.recv(65536):
                    answer += chunk
                answered += answer[:15] == b"HTTP/1.1 200 OK"
                equal(answer[:15] in (b"", b"HTTP/1.1 200 OK"), True, "and the connection ends")
            if answered == 10:
                break
        equal(answered, 10, "guests that are done in a millisecond answer")


def test_health(server):
    equal(server.get("/healthz")[0], 200)
    equal(server.get("/readyz")[0], 200)


def test_nonsense(server):
    for text in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET /hello\r\n\r\n", b"\0\1\2\3\r\n\r\n",
                 b"GET /hello HTTP/9.9\r\n\r\n", b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                 b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        with server.socket() as raw:
            raw.sendall(text)
            raw.shutdown(socket.SHUT_WR)
            try:
                while raw.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    equal(server.get("/hello")[0], 200)


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")],
         CONFIG.replace("_timeout: 3s", "_timeout: 60s"))
