"""Serving: what a guest adds to an answer over a C handler of the same server (/healthz), on one
kept connection that asks both in turns."""
import os
import re
import subprocess
import tempfile

import figures
from programs import BenchError, environment, run_json

CONFIG = """
memory_max: 1GiB
cache: {folder}/cache
server: {{ spool: {folder}/spool }}
routes:
  - {{ path: /hello, module: hello.wasm, limits: {{ memory: 4MiB, time: 2s, body: 64KiB }} }}
"""
NATIVE, GUEST = "/healthz", "/hello"
REQUESTS = 20000
P50_MAX_US, P99_MAX_US = 10, 50


class Server:
    def __init__(self, build):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "weir.yaml")
        os.mkdir(os.path.join(self.folder.name, "spool"))
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(folder=self.folder.name))
        self.process = subprocess.Popen(
            [os.path.join(build, "bin/weir"), "serve", "--quiet", "--config", path, "--modules",
             os.path.join(build, "guests"), "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True, env=environment(build))
        match = re.match(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if not match:
            self.close()
            raise BenchError("weir serve did not start")
        self.port = match[1]

    def close(self):
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
        self.folder.cleanup()


def measure(run):
    count = 200 if run.is_smoke else REQUESTS
    client = os.path.join(run.build, "bench/http_latency")
    server = Server(run.build)
    try:
        results = [run_json([client, server.port, NATIVE, GUEST, str(count)], run.build)
                   for _ in range(run.rounds)]
    finally:
        server.close()

    def over(key, name):
        return figures.figure([one[name][key] for one in results])

    def added(key):
        return figures.figure([one["second"][key] - one["first"][key] for one in results])

    return {"unit": "us", "requests_per_round": count,
            "engines": {f"{label} {key}": over(key, name) for key in ("p50", "p99")
                        for label, name in (("native C", "first"), ("Weir", "second"))},
            "lines": [figures.line(f"added to a C handler, {key}", limit, "us", added(key),
                                   peers={f"C handler {key}": over(key, "first"),
                                          f"guest {key}": over(key, "second")})
                      for key, limit in (("p50", P50_MAX_US), ("p99", P99_MAX_US))]}
