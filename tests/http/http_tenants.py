#!/usr/bin/env python3
"""What all routes of a tenant may take together: memory and requests at once. A refusal names the
tenant, other tenants notice nothing, a reload changes the limits while guests run, and every kind
of request gives its place back: filtered ones, and those whose client leaves a resident."""
import contextlib
import json
import socket
import sys
import time

from http_reload import Reloading
from weir_http import account, equal, parse_options

MIB = 1 << 20
CONFIG = """
memory_max: 512MiB
cache: {{cache}}
server: {{{{ loops: 2, workers: 2, spool: {{spool}}, drain_timeout: 3s }}}}
{tenants}
upstreams: [ {{{{ name: silent, url: 'http://127.0.0.1:{port}' }}}} ]
routes:
  - {{{{ path: /hello, module: hello.wasm, tenant: acme, warm: 0,
      limits: {{{{ memory: 4MiB, body: 64KiB }}}} }}}}
  - {{{{ path: /bad, module: misbehave.wasm, tenant: acme, warm: 0,
      limits: {{{{ memory: 4MiB, time: 10m }}}} }}}}
  - {{{{ path: /keep, module: reactor_tester.wasm, mode: resident, tenant: acme,
      limits: {{{{ memory: 4MiB, time: 10m }}}} }}}}
  - {{{{ path: /up, upstream: silent, tenant: acme, limits: {{{{ time: 10m }}}} }}}}
  - {{{{ path: /echo, module: echo.wasm, tenant: other, limits: {{{{ memory: 4MiB }}}} }}}}
"""


def config(limits, port):
    tenants = f"tenants: [ {{{{ name: acme, limits: {{{{ {limits} }}}} }}}} ]" if limits else ""
    return CONFIG.format(tenants=tenants, port=port)


def wait(what, check, seconds=60):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: waited in vain")
        time.sleep(0.01)


def acme(server):
    return next(tenant for tenant in json.loads(server.get("/v1/tenants")[2])
                if tenant["tenant"] == "acme")


def wait_running(server, count):
    wait(f"{count} are running", lambda: acme(server)["running"] == count)


@contextlib.contextmanager
def held(server, *targets):
    """Requests whose answers do not come, until their clients leave."""
    clients = [server.socket() for _ in targets]
    for client, target in zip(clients, targets):
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        yield
    finally:
        for client in clients:
            client.close()


def refused(server, path, error):
    status, headers, body = server.get(path)
    answer = json.loads(body)
    equal((status, answer["error"], answer["tenant"], headers["Retry-After"]),
          (429, error, "acme", "1"), body)
    return answer


def limits_requests(server, port):
    equal(server.get("/hello")[0], 200, "alone")
    with held(server, "/bad?sleep", "/bad?sleep", "/up"):
        wait_running(server, 3)
        answer = refused(server, "/hello", "busy")
        equal((answer["limit_requests"], "tenant acme" in answer["reason"]), (3, True), answer)
        refused(server, "/up", "busy")
        equal(server.get("/echo")[0], 200, "another tenant's")
        equal(server.metric(r'^weir_tenant_refusals_total\{tenant="acme",reason="busy"'), 2)
        equal(server.metric(r'^weir_tenant_concurrency_limit\{tenant="acme"'), 3)
        equal(server.metric(r'^weir_tenant_concurrency_limit\{tenant="other"'), 0, "no sample")
        equal(server.reload(config("concurrency: 4", port)), "", "reloaded")
        equal(server.get("/hello")[0], 200, "one more")
        equal("tenant acme: changed: limits.concurrency" in server.read_log(), True, "told")
        equal(server.reload(config("concurrency: 1", port)), "", "fewer than run")
        equal(acme(server)["running"], 3, "they go on")
        refused(server, "/hello", "busy")
        equal(server.reload(config("", port)), "", "no limit")
        equal((server.get("/hello")[0], "concurrency" in acme(server)), (200, False), "none")
        equal(server.reload(config("concurrency: 3", port)), "", "as before")
    wait_running(server, 0)


def gives_places_back(server):
    """Of residents that go on without a client, refused bodies, requests without an answer."""
    with held(server, "/keep?nap=300", "/keep?nap=300"):
        wait("both are there", lambda: acme(server)["running"] == 2)
    wait_running(server, 0)
    for path in ("/bad?exit=3", "/bad?trap", "/bad?garbage", "/hello/" + "x" * 100, "/hello"):
        server.get(path)
    server.request("POST", "/hello", b"x" * 100000)
    with server.socket() as raw:
        raw.sendall(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        wait_running(server, 1)
    wait_running(server, 0)


def limits_memory(server, port):
    equal("limit_bytes" in acme(server), False, "none yet")
    equal(server.reload(config("memory: 12MiB", port)), "", "reloaded")
    equal(acme(server)["limit_bytes"], 12 * MIB)
    equal(account(server.memory()["accounts"], "acme")["limit_bytes"], 12 * MIB)
    equal(server.metric(r'^weir_tenant_limit_bytes\{tenant="acme"'), 12 * MIB)
    with held(server, "/bad?sleep", "/bad?sleep"):
        wait_running(server, 2)
        answer = refused(server, "/hello", "memory")
        equal((answer["limit_bytes"], answer["needs_bytes"]), (12 * MIB, 4 * MIB), answer)
        equal("tenant" in answer["reason"] and "acme" in answer["reason"], True, answer)
        equal(server.get("/echo")[0], 200, "another tenant's")
        equal(server.reload(config("memory: 64MiB", port)), "", "raised while guests run")
        equal(server.get("/hello")[0], 200, "there is room")
    wait_running(server, 0)
    said = server.reload(config("memory: 4MiB", port))
    equal("holds no request of this route" in said, True, said)
    equal(acme(server)["limit_bytes"], 64 * MIB, "nothing changed")


def main():
    parse_options()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, answers none
        port = silent.getsockname()[1]
        server = Reloading(config("concurrency: 3", port))
        try:
            limits_requests(server, port)
            gives_places_back(server)
            equal(server.reload(config("", port)), "", "no limits")
            limits_memory(server, port)
            equal(server.stop(), 0, server.read_log())
        finally:
            server.close()
    sys.exit(0)


if __name__ == "__main__":
    main()
