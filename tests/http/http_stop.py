#!/usr/bin/env python3
"""Graceful stop: requests in flight are finished, new ones refused, what lasts beyond the bound is
cancelled, and the exit code tells which."""
import json
import signal
import sys
import time

from weir_http import CONFIG, PATIENCE, Thread, equal, parse_options, serving, until


def stop_while(path, number, drain):
    """Stops the server while a request is in flight: its answer, the exit code, the seconds."""
    config = CONFIG.replace("drain_timeout: 3s", f"drain_timeout: {drain}")
    config = config.replace("idle_timeout: 3s", "idle_timeout: 60s")
    with serving(config.replace("time: 2s", "time: 5s")) as server:
        idle = server.connect()
        idle.request("GET", "/hello")
        idle.getresponse().read()
        answers = []
        thread = Thread(target=lambda: answers.append(server.get(path)))
        thread.start()
        server.wait_active(1)
        begin = time.monotonic()
        server.process.send_signal(number)

        def refusal():  # on a connection that was open before
            idle.request("GET", "/hello")
            response = idle.getresponse()
            text = response.read()
            return None if response.status == 200 else (response.status, json.loads(text)["error"])

        equal(until("the signal is heard", refusal), (503, "draining"))
        idle.close()
        code = server.process.wait(PATIENCE)
        thread.join()
        server.process.stdout.close()
        return answers[0], code, time.monotonic() - begin


RESIDENT = """
cache: {cache}
server: {{ loops: 1, workers: 1, drain_timeout: 1s, body_timeout: 600s, spool: {spool} }}
routes:
  - {{ path: /r, module: reactor_tester.wasm, mode: resident,
      limits: {{ memory: 4MiB, time: 600s }} }}
"""


def stop_without_clients():
    """A resident whose client has left goes on alone, another waits for it; both end by the bound.
    """
    with serving(RESIDENT) as server:
        raw = server.socket()
        raw.sendall(b"POST /r?after=500000 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        until("it is in use", lambda: server.metric(r"^weir_pool_in_use") == 1)
        raw.close()
        waiting = server.socket()
        waiting.sendall(b"GET /r HTTP/1.1\r\nHost: x\r\n\r\n")
        until("one waits, one has left", lambda: server.metric(r"^weir_route_waiting") == 1 and
              server.metric(r"^weir_connections_open$") <= 2)
        equal(server.metric(r"^weir_requests_active$"), 3, "alone, waiting, and the question")
        begin = time.monotonic()
        code = server.stop()
        waiting.close()
        return code, time.monotonic() - begin


def main():
    parse_options()
    code, seconds = stop_without_clients()
    equal((code, seconds > 0.9), (17, True), f"a guest without a client: {seconds}")
    # Its time is 5 s: the bound, which is longer than we wait, has no part in it.
    (status, _, _), code, _ = stop_while("/misbehave?loop", signal.SIGTERM, "600s")
    equal((status, code), (504, 0), "a request in flight is finished")
    # Its sleep is an hour, its time 10 minutes.
    (status, _, _), code, seconds = stop_while("/fuel?sleep", signal.SIGINT, "5s")
    equal((status, code), (503, 17), "beyond the bound it is cancelled, and told so")
    equal(seconds > 4.5, True, f"the bound is drain_timeout: {seconds}")
    print("3 of 3 passed")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
