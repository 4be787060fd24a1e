"""Chains of filters in front of guests and of an upstream, by the plugin that does as it is told
(tests/guests/filter_probe.c): headers and bodies both ways, local responses, calls, what fails open
and closed, limits, recycling, reload, and that other routes go on."""
import concurrent.futures
import http.server
import json
import os
import threading
import time

from weir_http import equal, main, serving, until

KEYS = """
memory_max: 1GiB
cache: {cache}
server: {{ loops: 2, workers: 2, drain_timeout: 30s, body_timeout: 60s, spool: {spool},
          filter_threads: 2 }}
upstreams:
  - {{ name: up, url: "http://127.0.0.1:PORT", connections: 8, timeout: 60s }}
  - {{ name: nobody, url: "http://127.0.0.1:1" }}
routes:
  - {{ path: /hello, module: hello.wasm, limits: {{ memory: 4MiB }} }}
  - path: /guest
    module: echo.wasm
    env: [ 'ROUTE=yes' ]
    limits: {{ memory: 4MiB, time: 60s, body: 16MiB, output: 32MiB }}
    filters: [ {{ name: probe, module: filter_probe.wasm, configuration: none }} ]
  - path: /short
    module: echo.wasm
    limits: {{ memory: 4MiB, time: 2s }}
    filters: [ {{ name: probe, module: filter_probe.wasm, configuration: none }} ]
  - path: /upper
    upstream: up
    limits: {{ body: 32MiB, output: 32MiB }}
    filters:
      - {{ name: first, module: filter_probe.wasm, configuration: none }}
      - {{ name: second, module: filter_probe.wasm, configuration: upper }}
  - path: /held
    upstream: up
    limits: {{ body: 32MiB, output: 32MiB, memory: 4MiB }}
    filters: [ {{ name: holder, module: filter_probe.wasm, configuration: hold,
                  limits: {{ buffer: 2MiB }} }} ]
  - path: /summed
    upstream: up
    limits: {{ body: 32MiB, output: 32MiB }}
    filters: [ {{ name: summer, module: filter_probe.wasm, configuration: sum }} ]
  - path: /doubled
    upstream: up
    filters: [ {{ name: doubler, module: filter_probe.wasm, configuration: double }} ]
  - path: /open
    upstream: up
    filters: [ {{ name: open, module: filter_probe.wasm, configuration: none, log: error,
                  on_failure: fail_open, limits: {{ time: 1s }} }} ]
  - path: /calls
    upstream: up
    limits: {{ concurrency: 64 }}
    filters: [ {{ name: caller, module: filter_probe.wasm, configuration: none, log: error,
                  limits: {{ time: 10s }} }} ]
  - path: /closed
    upstream: up
    filters: [ {{ name: closed, module: filter_probe.wasm, configuration: none, log: error,
                  limits: {{ time: 1s }} }} ]
  - path: /broken
    upstream: up
    filters: [ {{ name: broken, module: hello.wasm }} ]
  - path: /left-out
    upstream: up
    filters: [ {{ name: broken, module: hello.wasm, on_failure: fail_open }} ]
  - path: /no
    upstream: up
    filters: [ {{ name: no, module: filter_probe.wasm, configuration: refuse }} ]
  - path: /keep
    upstream: up
    limits: {{ body: 4MiB }}
    filters: [ {{ name: keeper, module: filter_probe.wasm, configuration: keep,
                  limits: {{ memory: 24MiB, soft: 12MiB }} }} ]
  - path: /nobody
    upstream: nobody
"""


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart
    seen = []
    ports = []

    def read_body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while True:
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def do_GET(self):
        body = self.read_body()
        Upstream.seen.append((self.command, self.path))
        Upstream.ports.append(self.server.server_address[1])
        if self.path.endswith("/slow"):
            time.sleep(1.5)
        if self.path.endswith("/big"):
            body = bytes(3 << 20)
        self.send_response(201 if self.path.endswith("/made") else 200)
        for name, value in self.headers.items():
            self.send_header("Echo-" + name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:  # a client that left
            self.close_connection = True

    do_POST = do_PUT = do_HEAD = do_GET

    def log_message(self, *_):
        pass


def upstream():
    http.server.ThreadingHTTPServer.request_queue_size = 128
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


PORT = upstream()
CONFIG = KEYS.replace("PORT", str(PORT))


def do(server, path, deed, body=None):
    status, headers, answer = server.request("POST" if body else "GET", path, body,
                                             {"x-do": deed, "x-old": "old", "x-gone": "1"})
    return status, {name.lower(): value for name, value in headers.items()}, answer


def refused(server, path, deed, status, error, name, words, below=""):
    got, _, answer = do(server, path + below, deed)
    equal(got, status, f"{path} {deed}: {answer}")
    answer = json.loads(answer)
    equal(answer["error"], error, f"{path} {deed}")
    equal(answer.get("filter"), name, f"{path} {deed}")
    equal(answer["route"], path)
    for word in words:
        assert word in answer["reason"], answer


def test_headers_in_front_of_a_guest(server):
    status, headers, answer = do(server, "/guest/a%20b?c=d", "add")
    equal(status, 200)
    equal(headers["x-filtered"], "probe")
    text = answer.decode()
    for line in ("HTTP_X_PROBE=one", "HTTP_X_OLD=new", "PATH_INFO=/a b", "QUERY_STRING=c=d",
                 "REMOTE_ADDR=127.0.0.1", "ROUTE=yes"):
        assert line in text, (line, text)
    assert "HTTP_X_GONE" not in text and "X_WEIR" not in text, text
    equal(server.request("GET", "/guest", None, {"x-weir-client": "6.6.6.6"})[2].decode()
          .count("REMOTE_ADDR=127.0.0.1"), 1)


def test_a_client_that_a_filter_makes_up(server):
    text = do(server, "/guest", "spoof")[2].decode()
    assert "REMOTE_ADDR=127.0.0.1" in text and "6.6.6.6" not in text, text


def test_a_large_field(server):
    for size in (100, 9000):
        headers = server.request("GET", "/upper", None, {"x-big": "b" * size})[1]
        equal(headers.get("Echo-x-big", headers.get("echo-x-big")), "b" * size, size)


def test_bodies_through_a_guest(server):
    for size in (0, 1, 70000, 3000000):
        body = os.urandom(size)
        status, _, answer = server.request("POST", "/guest", body)
        equal(status, 200)
        assert answer.endswith(body), size


def test_bodies_through_two_filters(server):
    for size in (0, 1, 65536, 65537, 12000000):
        body = bytes(range(97, 123)) * (size // 26 + 1)
        body = body[:size]
        connection = server.connect()
        connection.request("POST", "/upper", body)
        response = connection.getresponse()
        equal(response.status, 200, size)
        equal(response.getheader("x-filtered"), "probe, probe")
        equal(response.read(), body.upper(), size)
        connection.close()


def test_methods(server):
    for method in ("GET", "PUT", "HEAD", "POST"):
        status, headers, answer = server.request(method, "/upper/made", b"abc")
        equal(status, 201, method)
        equal(answer, b"" if method == "HEAD" else b"ABC", method)
        equal(Upstream.seen[-1], (method, "/upper/made"))


def test_a_held_body(server):
    body = os.urandom(1500000)
    equal(server.request("POST", "/held", body)[2], body)
    status, _, answer = server.request("POST", "/held", os.urandom(2900000))
    equal(status, 413)
    answer = json.loads(answer)
    equal(answer["filter"], "holder")
    equal(answer["limit_bytes"], 2 << 20)


def test_a_held_answer(server):
    refused(server, "/held", "big", 503, "filter", "holder", ["limits.buffer"], "/big")
    equal(len(server.get("/upper/big")[2]), 3 << 20)


def test_a_body_read_as_a_whole(server):
    """It comes in pieces; a filter that pauses until its end can read all of it at once."""
    for size in (1, 65537, 10 << 20):
        body = os.urandom(1 << 10) * (size // 1024 + 1)
        body = body[:size]
        total = 0
        for byte in body:
            total = (total * 31 + byte) & 0xffffffff
        equal(server.request("POST", "/summed", body)[2], b"%d %d" % (size, total))
    status, _, answer = server.request("POST", "/summed", bytes(17 << 20))
    equal((status, json.loads(answer).get("filter")), (413, "summer"), answer)


def test_a_body_of_another_length(server):
    """Pieces that a filter changed are sent on only where the length that was announced is right:
    the next request on the connection must not begin in them."""
    def callbacks():
        return next(f for f in filters(server) if f["name"] == "doubler")["callbacks"]
    before = callbacks()
    with server.socket() as client:
        client.sendall(b"POST /doubled HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nabcd")
        while callbacks() < before + 3:  # the context's, the headers', the body's
            pass
        client.sendall(b"efgh")
        answer = client.recv(65536)
    assert b" 502 " in answer and b"content-length" in answer, answer
    for _ in range(20):
        equal(server.request("POST", "/upper", b"next")[2], b"NEXT")


def test_local_response(server):
    status, headers, answer = do(server, "/upper", "local")
    equal((status, answer), (403, b"forbidden\n"))
    equal(headers["x-local"], "yes")
    status, _, answer = do(server, "/upper/local", "local", os.urandom(3000000))
    equal((status, answer), (403, b"forbidden\n"))
    equal(("POST", "/upper/local") in Upstream.seen, False, "the upstream saw none of it")


def test_calls(server):
    status, headers, _ = do(server, "/upper", "call")
    equal(status, 200)
    equal(headers["echo-x-call"], "200")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(do, server, "/calls", "call") for _ in range(400)]:
            status, headers, _ = future.result()
            equal(status, 200)
            equal(headers.get("echo-x-call"), "200", headers)
    server.wait_idle()
    view = next(f for f in filters(server) if f["name"] == "caller")
    equal((view["calls"], view["call_answers"]), (400, 400))


def filters(server):
    return json.loads(server.get("/v1/filters")[2])["filters"]


def test_a_filter_that_fails(server):
    refused(server, "/closed", "trap", 503, "filter", "closed", ["trapped: unreachable"])
    refused(server, "/closed", "loop", 503, "filter", "closed", ["ran longer than 1.0 s"])
    refused(server, "/closed", "close", 503, "filter", "closed", ["closed the stream"])
    for deed in ("trap", "loop", "recurse"):
        status, headers, _ = do(server, "/open", deed)
        equal(status, 200, deed)
        equal(headers["echo-x-do"], deed)
    equal(do(server, "/closed", "add")[0], 200, "it was made again")
    view = next(f for f in filters(server) if f["name"] == "closed")
    assert view["failures"] >= 2 and view["restarted"] >= 1, view
    assert "unreachable" in server.read_log()


def test_a_filter_that_cannot_be_loaded(server):
    refused(server, "/broken", "add", 503, "filter", "broken",
            ["cannot be loaded", "proxy_abi_version_0_2_1"])
    refused(server, "/no", "add", 503, "filter", "no", ["said no to its configuration"])
    equal(do(server, "/left-out", "add")[0], 200)
    log = server.read_log()
    assert "filter broken of /left-out: left out" in log, log


def test_others_go_on_while_one_loops(server):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        loops = [pool.submit(do, server, "/upper", "loop") for _ in range(4)]
        for _ in range(50):
            equal(server.get("/hello")[0], 200)
            equal(do(server, "/open", "add")[0], 200)
        for loop in loops:
            equal(loop.result()[0], 503)


def test_endless_pause_is_bounded(server):
    refused(server, "/short", "pause", 504, "deadline", "probe", ["paused the request"])


def test_upstreams_that_fail(server):
    refused(server, "/nobody", "add", 502, "upstream", None, ["nobody: "])


def test_a_client_that_leaves(server):
    for _ in range(5):
        with server.socket() as client:
            client.sendall(b"GET /upper/slow HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.05)
        with server.socket() as client:
            client.sendall(b"POST /upper HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\nabc")
    server.wait_idle()
    equal(do(server, "/upper", "add")[0], 200)


def test_recycling(server):
    """Keeps every body: above the soft mark its VM is made anew, never refused."""
    body = os.urandom(1 << 20)
    for _ in range(60):
        status, _, answer = server.request("POST", "/keep", body)
        equal((status, answer), (200, body))
    view = next(f for f in filters(server) if f["name"] == "keeper")
    assert view["recycled"] >= 3, view
    assert view["linear_bytes_peak"] <= 24 << 20, view
    assert view["stream_growth_bytes"] >= 1 << 20, view
    assert view["stream_host_bytes"] >= 65536, view
    assert "filter keeper of /keep: recycled" in server.read_log()
    assert server.metric(r'weir_filter_recycled_total\{.*filter="keeper"') >= 3
    server.wait_idle()
    for kind in ("header_map", "host_buffer"):
        view = next(f for f in filters(server) if f["name"] == "keeper")
        assert view["kinds"].get(kind, 0) < 4096, view


def test_metrics_of_plugins(server):
    do(server, "/upper", "metric")
    equal(server.metric(r'weir_plugin_metric\{.*plugin="first".*name="requests"'), 4)
    equal(server.metric(r'weir_plugin_metric\{.*plugin="first".*name="depth"'), 7)


def test_reload_keeps_and_changes_chains(server):
    path = os.path.join(server.folder.name, "weir.yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("configuration: upper", "configuration: none"))
    server.process.send_signal(1)
    until("the new configuration",
          lambda: server.request("POST", "/upper", b"abc")[2] == b"abc")
    equal(do(server, "/open", "add")[0], 200)


def test_reload_keeps_plugins_that_did_not_change(server):
    """Another limit of a route, another upstream: the plugins stay as they are, and call the new
    upstream."""
    path = os.path.join(server.folder.name, "weir.yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before = next(f for f in filters(server) if f["name"] == "caller")
    assert before["streams"] > 0, before
    other = upstream()
    changed = text.replace(f":{PORT}\"", f":{other}\"").replace("concurrency: 64", "concurrency: 8")
    assert changed.count(str(other)) == 1 and changed != text
    with open(path, "w", encoding="utf-8") as file:
        file.write(changed)
    server.process.send_signal(1)
    end = time.monotonic() + 60
    while server.read_log().count("route /calls: changed: upstream, limits.concurrency") == 0:
        assert time.monotonic() < end, server.read_log()[-2000:]
        time.sleep(0.05)
    equal(do(server, "/calls", "call")[1].get("echo-x-call"), "200")
    equal(Upstream.ports[-2:], [other, other], "the call and the request")
    after = next(f for f in filters(server) if f["name"] == "caller")
    equal((after["streams"], after["calls"]), (before["streams"] + 1, before["calls"] + 1))


def test_stops_while_filters_wait(_):
    with serving(CONFIG) as server, server.socket() as client:
        client.sendall(b"GET /short HTTP/1.1\r\nHost: x\r\nx-do: pause\r\n\r\n")
        until("it has begun",
              lambda: server.metric(r'^weir_filter_streams_total\{route="/short"') > 0)
        equal(server.stop(), 0)


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")], CONFIG)
