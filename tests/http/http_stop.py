#!/usr/bin/env python3
"""Graceful stop: requests in flight are finished, new ones refused, what lasts beyond the bound is
cancelled, and the exit code tells which."""
import json
import signal
import sys
import threading
import time

from weir_http import equal, parse_options, serving


def stop_while(path, number):
    """Stops the server while a request is in flight: its answer, the exit code, the seconds."""
    with serving() as server:
        idle = server.connect()
        idle.request("GET", "/hello")
        idle.getresponse().read()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(server.get(path)))
        thread.start()
        while server.metric(r"^weir_requests_active$") < 2:
            time.sleep(0.01)
        begin = time.monotonic()
        server.process.send_signal(number)
        time.sleep(0.1)
        idle.request("GET", "/hello")  # a connection that was open before
        response = idle.getresponse()
        equal((response.status, json.loads(response.read())["error"]), (503, "draining"))
        idle.close()
        code = server.process.wait(20)
        thread.join()
        server.process.stdout.close()
        return answers[0], code, time.monotonic() - begin


RESIDENT = """
cache: {cache}
server: {{ loops: 1, workers: 1, drain_timeout: 1s, spool: {spool} }}
routes:
  - {{ path: /r, module: reactor_tester.wasm, mode: resident,
      limits: {{ memory: 4MiB, time: 60s }} }}
"""


def stop_without_clients():
    """A resident whose client has left goes on alone, another waits for it; both end by the bound.
    """
    with serving(RESIDENT) as server:
        raw = server.socket()
        raw.sendall(b"POST /r?after=50000 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        while server.metric(r"^weir_pool_in_use") < 1:
            time.sleep(0.01)
        raw.close()
        waiting = server.socket()
        waiting.sendall(b"GET /r HTTP/1.1\r\nHost: x\r\n\r\n")
        while server.metric(r"^weir_route_waiting") < 1 or \
                server.metric(r"^weir_connections_open$") > 2:
            time.sleep(0.01)
        equal(server.metric(r"^weir_requests_active$"), 3, "alone, waiting, and the question")
        begin = time.monotonic()
        code = server.stop()
        waiting.close()
        return code, time.monotonic() - begin


def main():
    parse_options()
    code, seconds = stop_without_clients()
    equal((code, 0.9 < seconds < 6), (17, True), f"a guest without a client: {seconds}")
    (status, _, _), code, seconds = stop_while("/misbehave?loop", signal.SIGTERM)
    equal((status, code), (504, 0), "a request in flight is finished")
    equal(seconds < 2.5, True, f"no longer than it takes: {seconds}")
    (status, _, _), code, seconds = stop_while("/fuel?sleep", signal.SIGINT)
    equal((status, code), (503, 17), "beyond the bound it is cancelled, and told so")
    equal(2.5 < seconds < 8, True, f"the bound is drain_timeout: {seconds}")
    print("3 of 3 passed")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
