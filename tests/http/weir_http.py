"""Starts `weir serve` on a free port for the tests of this folder, and speaks HTTP to it.

Only the standard library. A test is a script: it calls main() with its functions named test_*,
each of which gets a Server. Exit code 77 means skipped, with the reason printed.
"""
import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weir_outcome import equal, skip  # noqa: E402

PATIENCE = 60  # seconds until what must come is given up
CONFIG = """
memory_max: 1GiB
cache: {cache}
server: {{ loops: 2, workers: 2, idle_timeout: 3s, body_timeout: 3s, write_timeout: 3s,
          drain_timeout: 3s, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, limits: {{ memory: 4MiB, time: 60s, body: 64KiB }} }}
  - {{ path: /echo, module: echo.wasm, env: [ 'ROUTE=yes' ],
      limits: {{ memory: 4MiB, time: 60s, body: 1MiB }} }}
  - {{ path: /transform, module: transform.wasm,
      limits: {{ memory: 4MiB, time: 60s, body: 256MiB, output: 256MiB }} }}
  - {{ path: /misbehave, module: misbehave.wasm,
      limits: {{ memory: 16MiB, time: 2s, concurrency: 4, body: 64KiB, output: 1MiB }} }}
  - {{ path: /fuel, module: misbehave.wasm, limits: {{ memory: 4MiB, time: 600s, fuel: 1000000 }} }}
"""


class Options:
    program = None
    guests = None
    sanitized = False


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, help="the built `weir`")
    parser.add_argument("--guests", required=True, help="folder of the guests")
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    Options.program, Options.guests = options.program, options.guests
    Options.sanitized = options.sanitized
    return options


class Thread(threading.Thread):
    """A thread whose failure is the test's: join() raises it."""
    failure = None

    def run(self):
        try:
            super().run()
        except Exception as failure:
            self.failure = failure

    def join(self, timeout=None):
        super().join(timeout)
        if self.failure is not None:
            raise self.failure


class Server:
    def __init__(self, config=CONFIG, wrap=(), extra=()):
        # Not in /tmp: artifacts that lie in memory count against the limits that tests set.
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp"))
        path = os.path.join(self.folder.name, "weir.yaml")
        spool = os.path.join(self.folder.name, "spool")
        os.mkdir(spool)
        with open(path, "w", encoding="utf-8") as file:
            file.write(config.format(cache=os.path.join(self.folder.name, "cache"), spool=spool))
        # Appended to: a reader that shared the offset would move the server's place in it.
        self.log = open(os.path.join(self.folder.name, "log"), "a", encoding="utf-8")
        self.process = subprocess.Popen(
            [*wrap, Options.program, "serve", "--quiet", "--config", path, "--modules",
             Options.guests, "--listen", "127.0.0.1:0", *extra],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        match = re.match(r"http://127\.0\.0\.1:(\d+)", line)
        if not match:
            self.process.wait(PATIENCE)
            raise AssertionError(f"the server did not start: {line!r} {self.read_log()}")
        self.port = int(match.group(1))

    def read_log(self):
        with open(self.log.name, encoding="utf-8") as log:
            return log.read()

    def connect(self, timeout=PATIENCE):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def socket(self, timeout=PATIENCE):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def memory(self):
        return json.loads(self.get("/v1/memory")[2])

    def metric(self, pattern):
        text = self.get("/metrics")[2].decode()
        return sum(float(value) for name, value in re.findall(r"^(\S+) (\S+)$", text, re.M)
                   if re.search(pattern, name))

    def wait_active(self, count):
        """Until so many requests are in flight beside the question itself."""
        until(f"{count} in flight", lambda: self.metric(r"^weir_requests_active$") == count + 1)

    def wait_idle(self):
        self.wait_active(0)

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self.process.stdout.close()
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()


def until(what, condition, seconds=PATIENCE):
    """The first true value of the condition."""
    end = time.monotonic() + seconds
    while not (got := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(0.01)
    return got


@contextlib.contextmanager
def serving(config=CONFIG, wrap=(), extra=()):
    server = Server(config, wrap, extra)
    try:
        yield server
    finally:
        server.close()


def account(tree, name):
    """The account of that name, anywhere in the tree; None without."""
    if tree["name"] == name:
        return tree
    for child in tree.get("children", []):
        found = account(child, name)
        if found:
            return found
    return None


def main(tests, config=CONFIG):
    """Runs every test on one server, which must survive all of them and stop cleanly."""
    parse_options()
    failed = 0
    with serving(config) as server:
        for test in tests:
            try:
                test(server)
                print("pass", test.__name__)
            except Exception:
                failed += 1
                print("FAIL", test.__name__)
                traceback.print_exc()
            if server.process.poll() is not None:
                print(f"the server ended with {server.process.returncode}\n{server.read_log()}")
                sys.exit(1)
        code = server.stop()
        if code != 0:
            print(f"the server stopped with {code}\n{server.read_log()}")
            failed += 1
    print(f"{len(tests) - failed} of {len(tests)} passed")
    sys.exit(1 if failed else 0)
