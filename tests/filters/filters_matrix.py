#!/usr/bin/env python3
"""Filters by three SDKs that are not ours, compiled here, between a client and an upstream.

usage: filters_matrix.py --weir PROGRAM --folder FOLDER [--probe FILE] [--seconds N --rate N]
                         [--result FILE]

AssemblyScript (two pairs of compiler and SDK) and Go are fetched by their ordinary clients into
FOLDER, the C filter is --probe. Each filter reads the body of every answer: 100 KiB and 10 MiB of
random bytes, gzip, CJK, ASCII and small integers, in turn; those of others' SDKs first as a whole.
Memory must be flat: linear memory and
host bytes of each filter after the first third are the same in the end, within its high-water mark;
and a route without a filter goes on meanwhile. With --seconds clients in four processes send --rate
requests a second for so long, whatever became of those before; without, a few rounds are made one
after the other. Prints one line per filter; --result is the same as JSON.
"""
import argparse
import gzip
import http.client
import http.server
import json
import multiprocessing
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
sys.path += [os.path.join(HERE, ".."), os.path.join(ROOT, "bench/lib")]
import machine  # noqa: E402
from weir_fetch import UNREACHABLE, fetch, go_module, npm_install, reason  # noqa: E402
from weir_outcome import equal, skip  # noqa: E402

PAIRS = {
    "solo": ["assemblyscript@0.14.9", "@solo-io/proxy-runtime@0.1.8"],
    "gcore": ["assemblyscript@0.28.20", "@gcoredev/proxy-wasm-sdk-as@1.2.3",
              "@assemblyscript/wasi-shim@0.1.0"],
}
PROCESSES = 4
PATIENCE = 600  # seconds until what hangs is given up
GO_TOOLCHAIN = "golang.org/toolchain@v0.0.1-go1.24.9.linux-amd64"
GO_TOOLCHAIN_SUM = "h1:XCaHFxbYbAFzirf0FlQ6XUJ3WM+yR7FdDHZvREoPVDI="
GO_SDK = "github.com/proxy-wasm/proxy-wasm-go-sdk v0.0.0-20250212164326-ab4161dcf924"
GO_SUM = """\
{0} h1:wTcK6gcyTKJMeDka69AMjZYvisdI8CBXzTEfZ+2pOxI=
{0}/go.mod h1:9mBRvh8I6Td6sg3CwEY+zGFE4DKaIoieCaca1kQnDBE=
""".format(GO_SDK)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def build_assembly(folder, name):
    home = os.path.join(folder, name)
    compiler = os.path.join(npm_install(home, PAIRS[name]), ".bin/asc")
    shutil.copy(os.path.join(HERE, name + ".ts"), home)
    extra = ["-b", name + ".wasm"] if name == "solo" else \
        ["-o", name + ".wasm", "--config", "node_modules/@assemblyscript/wasi-shim/asconfig.json"]
    code, said = run([compiler, name + ".ts", "--use", "abort=abort_proc_exit", "--optimize",
                      *extra], home)
    equal(code, 0, said)
    return os.path.join(home, name + ".wasm")


def go_command(folder):
    """A Go that knows wasip1 libraries (1.24): the one here, or one that it fetches as a module."""
    go = shutil.which("go")
    code, said = run([go, "version"], "/") if go else (1, "")
    version = re.search(r"go1\.(\d+)", said)
    if code != 0 or not version:
        skip("go is not installed, which builds a filter")
    return go if int(version.group(1)) >= 24 else fetch_go(go, folder)


def fetch_go(go, folder):
    module = go_module(go, GO_TOOLCHAIN, {**os.environ, "GOFLAGS": "-modcacherw",
                                          "GOPATH": os.path.join(folder, "toolchain"),
                                          "GOSUMDB": "off"})
    equal(module["Sum"], GO_TOOLCHAIN_SUM, "sum of Go's toolchain")
    for programs in ("bin", "pkg/tool/linux_amd64"):  # a module's files are not executable
        for name in os.listdir(os.path.join(module["Dir"], programs)):
            os.chmod(os.path.join(module["Dir"], programs, name), 0o755)
    return os.path.join(module["Dir"], "bin/go")


def build_go(folder):
    go = go_command(folder)
    home = os.path.join(folder, "go")
    os.makedirs(home, exist_ok=True)
    shutil.copy(os.path.join(HERE, "matrix.go"), home)
    with open(os.path.join(home, "go.mod"), "w", encoding="utf-8") as file:
        file.write(f"module matrix\n\ngo 1.24\n\nrequire {GO_SDK}\n")
    with open(os.path.join(home, "go.sum"), "w", encoding="utf-8") as file:
        file.write(GO_SUM)
    done = fetch([go, "build", "-buildmode=c-shared", "-o", "matrix.wasm", "."], cwd=home,
                 env={**os.environ, "GOOS": "wasip1", "GOARCH": "wasm", "GOFLAGS": "-mod=mod",
                      "GOTOOLCHAIN": "local"})
    if done.returncode != 0 and UNREACHABLE.search(done.stderr):
        skip(f"Go cannot fetch the SDK: {reason(done)}")
    equal(done.returncode, 0, done.stderr)
    return os.path.join(home, "matrix.wasm")


def payloads():
    """Name → bytes; the same in every run."""
    noise = random.Random(1)
    words = "".join(noise.choice("abcdefghijklmnop ,.") for _ in range(1 << 20)).encode()
    for size, label in ((100 << 10, "100KiB"), (10 << 20, "10MiB")):
        yield "random " + label, noise.randbytes(size)
        packed = gzip.compress(words * (size // len(words) * 3 + 3), 1)
        yield "gzip " + label, (packed * (size // len(packed) + 1))[:size]
        yield "cjk " + label, "".join(chr(noise.randrange(0x4e00, 0x9fff))
                                      for _ in range(1 << 15)).encode() * (size // (3 << 15))
        yield "ascii " + label, (words * (size // len(words) + 1))[:size]
        yield "integers " + label, struct.pack("<1024I", *range(1024)) * (size // 4096)


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart
    bodies = []

    def do_GET(self):
        index = int(self.path.rsplit("/", 1)[1])
        body = self.bodies[index][1] if index < len(self.bodies) else bytes(20 << 20)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:  # it was refused
            self.close_connection = True

    def log_message(self, *_):
        pass


def config(port, folder, filters):
    lines = [f"cache: {folder}/cache", f"server: {{spool: {folder}}}", "upstreams:",
             f'  - {{ name: up, url: "http://127.0.0.1:{port}" }}', "routes:",
             "  - { path: /plain, upstream: up, limits: { output: 64MiB } }"]
    for name, module in filters.items():
        lines += [f"  - path: /{name}", "    upstream: up", "    limits: { output: 64MiB }",
                  f"    filters: [ {{ name: {name}, module: {module}, root_id: matrix, log: warn,",
                  "                  configuration: hold, limits: { memory: 256MiB } } ]"]
    path = os.path.join(folder, "weir.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


class Client:
    def __init__(self, port):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def get(self, path):
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        return response.status, response.getheader("x-filter"), response.read()

    def check(self, name, index):
        kind, body = Upstream.bodies[index]
        status, marked, got = self.get(f"/{name}/{index}")
        if status != 200 or got != body or (name not in ("plain", "probe") and marked != name):
            raise AssertionError(f"{name}, {kind}: {status} {marked} {len(got)} bytes "
                                 f"{got[:300] if status != 200 else ''}")


class Host(Client):
    def __init__(self, weir, path):
        self.process = subprocess.Popen([weir, "serve", "--quiet", "--config", path, "--listen",
                                         "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.search(r":(\d+)", line)
        assert match, f"the server did not start: {line!r}"
        super().__init__(int(match.group(1)))

    def filters(self):
        return {f["name"]: f for f in json.loads(self.get("/v1/filters")[2])["filters"]}

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE)


def rounds(host, names):
    """Every body through every filter, in turn; yields after each round."""
    for _ in range(3):
        for index in range(len(Upstream.bodies)):
            for name in names:
                host.check(name, index)
        yield


def send_share(port, names, options, first, begin, results):
    """Requests first, first + PROCESSES and so on: number n is due n / rate after `begin`."""
    client, done, late, slowest = Client(port), 0, 0, 0
    try:
        for number in range(first, int(options.seconds * options.rate), PROCESSES):
            due = begin + number / options.rate
            time.sleep(max(0, due - time.monotonic()))
            if time.monotonic() > begin + options.seconds + 30:
                break
            late += time.monotonic() > due + 1
            client.check(names[number % len(names)],
                         number // len(names) % len(Upstream.bodies))
            slowest = max(slowest, time.monotonic() - due)
            done += 1
        results.put({"done": done, "late": late, "slowest_seconds": round(slowest, 3)})
    except (AssertionError, OSError) as failure:
        results.put(str(failure))


def paced(host, names, options, told):
    """Yields now and then until all clients have ended; their sum is in `told`."""
    fork = multiprocessing.get_context("fork")
    results, begin = fork.Queue(), time.monotonic()
    clients = [fork.Process(target=send_share,
                            args=(host.port, names, options, first, begin, results))
               for first in range(PROCESSES)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients) and results.qsize() < PROCESSES:
        time.sleep(options.seconds / 60)
        yield
    told["seconds"] = round(time.monotonic() - begin, 1)
    for share in (results.get() for _ in clients):
        assert isinstance(share, dict), share
        told["done"] = told.get("done", 0) + share["done"]
        told["late"] = told.get("late", 0) + share["late"]
        told["slowest_seconds"] = max(told.get("slowest_seconds", 0), share["slowest_seconds"])


def check_whole(host, names):
    """A filter that waits for the end of a body reads all of it at once, and is refused by name
    when that is more than its limits.buffer."""
    whole = {"x-whole": "yes"}
    for name in names:
        for index, (kind, body) in enumerate(Upstream.bodies):
            host.connection.request("GET", f"/{name}/{index}", headers=whole)
            response = host.connection.getresponse()
            equal((response.status, response.getheader("x-whole")), (200, str(len(body))),
                  f"{name}, {kind}: {response.headers}")
            equal(response.read() == body, True, f"{name}, {kind}: another body")
        host.connection.request("GET", f"/{name}/{len(Upstream.bodies)}", headers=whole)
        response = host.connection.getresponse()
        answer = json.loads(response.read())
        equal((response.status, answer["filter"]), (503, name), answer)
        assert "limits.buffer" in answer["reason"], answer


def measure(host, names, options):
    marks, series, told = [], [], {"asked_seconds": options.seconds, "asked_rate": options.rate}
    every = ["plain", *names]
    for _ in paced(host, every, options, told) if options.rate else rounds(host, every):
        series.append(host.filters())
    series.append(host.filters())
    third = max(1, len(series) // 3)
    for name in names:
        linear = [f[name]["kinds"].get("linear_memory", 0) for f in series]
        held = [sum(f[name]["kinds"].get(k, 0) for k in ("header_map", "host_buffer"))
                for f in series]
        last = series[-1][name]
        print(f"{name:6} ABI {last['abi']}: {last['streams']} requests, linear memory "
              f"{linear[third - 1] >> 10} KiB after a third, {linear[-1] >> 10} KiB in the end; "
              f"most for one request {last['stream_growth_bytes'] >> 10} KiB of it, "
              f"{last['stream_host_bytes'] >> 10} KiB in the host; {last['recycled']} recycled, "
              f"{last['failures']} failed")
        marks.append((name, linear[third - 1], linear[-1], held[-1], last))
        told[name] = {key: last[key] for key in (
            "abi", "streams", "failures", "recycled", "linear_bytes_peak", "stream_growth_bytes",
            "stream_host_bytes")} | {"linear_bytes_third": linear[third - 1],
                                     "linear_bytes_end": linear[-1], "held_bytes_end": held[-1]}
    print(told)
    if options.result:
        with open(options.result, "w", encoding="utf-8") as file:
            json.dump({"bench": "filters", **machine.describe(ROOT), **told}, file, indent=1)
            file.write("\n")
    return marks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weir", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--probe")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--result")
    options = parser.parse_args()
    if not shutil.which("npm"):
        skip("npm is missing (package npm)")
    filters = {name: build_assembly(options.folder, name) for name in PAIRS}
    filters["go"] = build_go(options.folder)
    if options.probe:
        filters["probe"] = os.path.abspath(options.probe)
    Upstream.bodies = list(payloads())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        host = Host(options.weir, config(server.server_address[1], folder, filters))
        try:
            if not options.rate:
                check_whole(host, [name for name in filters if name != "probe"])
            marks = measure(host, list(filters), options)
        finally:
            code = host.stop()
    equal(code, 0, "the server's end")
    for name, before, after, held, last in marks:
        equal(last["failures"], 0, name)
        assert after <= before, f"{name}: linear memory grew from {before} to {after}"
        assert held <= 64 << 10, f"{name}: the host still holds {held}"


main()
