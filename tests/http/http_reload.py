#!/usr/bin/env python3
"""A plan that does not fit does not start. SIGHUP: routes come, go and change while requests run; a
file that is wrong or asks for a restart changes nothing; many reloads grow nothing."""
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

from weir_http import PATIENCE, Options, Server, Thread, equal, parse_options, until

CONFIG = """
memory_max: 512MiB
cache: {{cache}}
server: {{{{ loops: 2, workers: {workers}, spool: {{spool}}, drain_timeout: {drain},
          body_timeout: 600s }}}}
routes:
{routes}
"""
HELLO = "  - {{ path: /hello, module: %s, warm: %d, limits: {{ memory: 4MiB, body: %s }} }}\n"
MODE = ("  - {{ path: /m, module: reactor_tester.wasm, mode: %s, "
        "limits: {{ memory: 4MiB, time: 600s }} }}\n")
ECHO = "  - {{ path: /echo, module: transform.wasm, limits: {{ memory: 4MiB, time: 600s }} }}\n"
BAD = "  - {{ path: /bad, module: misbehave.wasm, limits: {{ memory: 4MiB, time: %s }} }}\n"


def config(routes, workers=2, drain="3s"):
    return CONFIG.format(routes=routes, workers=workers, drain=drain)


class Reloading(Server):
    """A server whose file can be exchanged; its log tells how a reload ended."""

    def __init__(self, text):
        super().__init__(text)
        self.output = []
        Thread(target=self.collect, daemon=True).start()

    def collect(self):
        for line in self.process.stdout:
            self.output.append(line.rstrip())

    def put(self, text):
        folder = self.folder.name
        with open(os.path.join(folder, "weir.yaml"), "w", encoding="utf-8") as file:
            file.write(text.format(cache=os.path.join(folder, "cache"),
                                   spool=os.path.join(folder, "spool")))

    def reload(self, text=None):
        """Until it says how it went: "" when done, else what was refused."""
        if text is not None:
            self.put(text)
        seen, said = len(self.output), len(self.read_log())
        self.process.send_signal(signal.SIGHUP)

        def result():
            log = self.read_log()[said:]
            if "not reloaded" in log:
                return [log]
            return any(line.startswith(("  total ", "The plan is the same"))
                       for line in self.output[seen:]) and [""]

        return until("the reload ends", result)[0]

    def begin(self, path):
        """A request whose body comes in two parts; its guest has begun when this returns."""
        client = self.socket()
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
                       "Connection: close\r\n\r\nabc".encode())
        until("it is in use", lambda: self.metric(rf'^weir_pool_in_use\{{route="{path}"') == 1)
        return client

    @staticmethod
    def end(client):
        """The answer to such a request."""
        client.sendall(b"def")
        answer = b""
        while part := client.recv(65536):
            answer += part
        client.close()
        return answer


def changes_routes(server):
    equal(server.get("/hello")[2], b"hello, world\n", "before")
    status, _, _ = server.request("POST", "/hello", b"x" * 2000)
    equal(status, 200, "a body within the limit")
    equal(server.get("/bad?exit=3")[0], 404, "no such route yet")
    equal(server.reload(config(HELLO % ("hello.wasm", 8, "1KiB") + BAD % "30s" + ECHO)), "",
          "reloaded")
    equal(server.request("POST", "/hello", b"x" * 2000)[0], 413, "the new limit holds")
    equal(server.get("/bad?exit=3")[0], 502, "the new route answers")
    text = "\n".join(server.output)
    equal("running guests /bad" in text, True, "the difference is told")


def drains_removed(server):
    """A request in flight ends as it began, although its route is gone."""
    client = server.begin("/echo")
    equal(server.reload(config(HELLO % ("hello.wasm", 8, "1KiB"))), "", "reloaded")
    equal(server.get("/bad?exit=3")[0], 404, "a route is gone")
    equal(server.get("/echo")[0], 404, "the other, too")
    answer = server.end(client)
    equal((answer[:12], b"ABCDEF" in answer), (b"HTTP/1.1 200", True), "the old request ended well")
    server.wait_idle()
    tenants = [child["name"] for child in server.memory()["accounts"]["children"]]
    equal({"/bad", "/echo"} & set(tenants), set(), "nothing of them is left")


def refuses_bad(server):
    good = config(HELLO % ("hello.wasm", 8, "1KiB"))
    for text, what in ((good.replace("routes:", "rutes:"), "unknown key"),
                       (config(HELLO % ("nowhere.wasm", 8, "1KiB")), "nowhere.wasm"),
                       (config(HELLO % ("hello.wasm", 8, "-1KiB")), "no size"),
                       (config(HELLO % ("weir.yaml", 8, "1KiB")), "weir.yaml"),
                       (config(HELLO % ("hello.wasm", 8, "1KiB"), workers=3), "server.workers")):
        said = server.reload(text)
        equal(what in said, True, f"{what!r} is told: {said!r}")
        equal(server.get("/hello")[2], b"hello, world\n", "the old configuration serves")
    equal(server.reload(good), "", "and the good one is taken again")


def takes_new_module(server):
    path = os.path.join(server.folder.name, "x.wasm")
    shutil.copy(os.path.join(Options.guests, "hello.wasm"), path)
    equal(server.reload(config(HELLO % (path, 8, "1KiB"))), "", "reloaded")
    equal(server.get("/hello")[2], b"hello, world\n", "from the copy")
    shutil.copy(os.path.join(Options.guests, "transform.wasm"), path + ".new")
    os.rename(path + ".new", path)
    equal(server.reload(), "", "reloaded")
    equal(server.request("POST", "/hello", b"abc")[2], b"ABC", "the file's new content")


def count(server, path="/m"):
    text = server.get(path)[2]
    return int(re.match(rb"count=(\d+) ", text).group(1))


def changes_modes(server):
    """Fresh, set up, resident, and other policies, while requests run; it says what changed."""
    routes = HELLO % ("hello.wasm", 8, "1KiB")
    resident = routes + MODE % ("resident, residents: 2, recycle: {{ calls: %d }}" % 3)
    equal(server.reload(config(routes + MODE % "pool")), "", "reloaded")
    equal([count(server) for _ in range(3)], [101] * 3, "set up once, reset each time")
    said = len(server.read_log())
    equal(server.reload(config(resident)), "", "reloaded")
    equal("route /m: changed: warm, mode, recycle.calls" in server.read_log()[said:], True,
          server.read_log()[said:])
    equal([count(server) for _ in range(7)], [101, 102, 103, 101, 102, 103, 101], "kept for three")
    client = server.begin("/m")
    said = len(server.read_log())
    equal(server.reload(config(resident.replace("calls: 3", "calls: 5"))), "", "reloaded")
    equal("route /m: changed: recycle.calls\n" in server.read_log()[said:], True, "told")
    equal([count(server) for _ in range(6)], [101, 102, 103, 104, 105, 101], "the new policy")
    equal(b"count=102 set_ups=1 body=6" in server.end(client), True, "the old guest ended well")
    equal(server.reload(config(resident.replace("calls: 3", "calls: 5").replace("1KiB", "2KiB"))),
          "", "reloaded")
    equal(count(server), 102, "a route that did not change keeps its guests")
    said = server.reload(config(routes + MODE % "request"))
    equal("for mode pool or resident" in said, True, said)
    equal(count(server), 103, "and nothing has changed")
    equal(server.reload(config(routes)), "", "reloaded")


def grows_nothing(server):
    """Under load; what the ledger and the kernel count after twenty is what they count after sixty.
    """
    stop = threading.Event()
    failures = []

    def ask():
        while not stop.is_set():
            status, _, body = server.request("POST", "/hello", b"abc")
            if (status, body) != (200, b"ABC"):
                failures.append((status, body))

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    path = os.path.join(server.folder.name, "x.wasm")
    figures = []
    for number in range(60):
        extra = BAD % "1s" if number % 2 else ""
        equal(server.reload(config(HELLO % (path, 4 + number % 4, "1KiB") + extra)), "", "reloaded")
        if number in (19, 59):
            memory = server.memory()
            figures.append((memory["growth_bytes"], memory["mappings"], memory["descriptors"]))
    stop.set()
    for thread in threads:
        thread.join()
    equal(failures, [], "every request was answered")
    (grown, mappings, _), (grown_after, mappings_after, _) = figures
    print("growth", grown_after - grown, "mappings", mappings_after - mappings)
    if not Options.sanitized:
        equal(grown_after - grown <= 2 << 20, True, f"memory does not grow: {figures}")
    equal(mappings_after - mappings < 64, True, f"mappings do not grow: {figures}")


def does_not_start_when_it_does_not_fit():
    """In a shell with few descriptors: the count is planned like the bytes."""
    text = config(HELLO % ("hello.wasm", 1, "1KiB")).replace("loops: 2,", "loops: 2, "
                                                             "connections_max: 3000,")
    wrap = ("sh", "-c", 'ulimit -n 256 && exec "$@"', "sh")
    try:
        Server(text, wrap).close()
        raise SystemExit("it started")
    except AssertionError as failure:
        equal("descriptors of 256" in str(failure), True, str(failure))
        equal("--overcommit starts anyway" in str(failure), True, str(failure))


def main():
    parse_options()
    does_not_start_when_it_does_not_fit()
    server = Reloading(config(HELLO % ("hello.wasm", 8, "64KiB")))
    try:
        for test in (changes_routes, drains_removed, changes_modes, refuses_bad,
                     takes_new_module, grows_nothing):
            test(server)
            print("pass", test.__name__)
        server.process.send_signal(signal.SIGTERM)
        equal(server.process.wait(PATIENCE), 0, "a clean stop")
    except (AssertionError, subprocess.TimeoutExpired) as failure:
        print("FAIL", failure, server.read_log()[-2000:])
        sys.exit(1)
    finally:
        server.close()


if __name__ == "__main__":
    main()
