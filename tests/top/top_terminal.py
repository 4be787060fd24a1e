#!/usr/bin/env python3
"""`weir top` on a terminal (a pty): what keys do, that it fits any size, that it gives the terminal
back on every way out, that it says when the host is gone; and without a terminal. Against a host of
Weir's where there is one, else against a stand-in that answers as one, or as an enemy.
"""
import contextlib
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import socketserver
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from weir_http import Options, equal, parse_options, serving  # noqa: E402

CONFIG = """
memory_max: 1GiB
cache: {cache}
server: {{ loops: 1, workers: 1, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, warm: 3, limits: {{ memory: 4MiB, concurrency: 4 }} }}
  - {{ path: /echo, module: echo.wasm, warm: 2, limits: {{ memory: 4MiB, concurrency: 4 }} }}
"""
LEAVE = b"\x1b[?25h\x1b[?1049l"
WAIT = 60


def store(number, tenant, used):
    return {"id": number, "name": tenant, "tenant": tenant, "age_ms": 1000 * number,
            "used_bytes": used, "linear_bytes": used // 2, "resident_bytes": used // 3,
            "private_bytes": used // 4, "calls": number, "instances": 1, "handles": number}


def memory(tenants=(("/a", 3 << 20), ("/b", 2 << 20), ("/c", 1 << 20))):
    return {"rss_bytes": 40 << 20, "unclassified_bytes": 1 << 16, "holds": True,
            "classes": {"malloc": 3 << 20, "linear_memory": 9 << 20}, "heap": {},
            "accounts": {"name": "host", "role": "host", "used_bytes": 6 << 20,
                         "limit_bytes": 1 << 30, "peak_bytes": 7 << 20, "children": [
                             {"name": name, "role": "tenant", "used_bytes": used,
                              "kinds": {"linear_memory": used}} for name, used in tenants]},
            "memories": [{"name": f"{name} at 0x7f00", "resident_bytes": used // 2,
                          "private_bytes": used // 4} for name, used in tenants]}


def census():
    return {"totals": {"store": {"count": 3}}, "completed_instances": 5,
            "growth": {"state": "undecided"}, "groups": [
                {"type": "store", "name": "/a", "origin": "", "count": 1, "bytes": 3 << 20,
                 "oldest_ms": 5}],
            "stores": [store(1, "/a", 3 << 20), store(2, "/b", 2 << 20), store(3, "/c", 1 << 20)]}


class StandIn:
    """Answers what it is told to; `raw` is sent instead of everything else."""

    def __init__(self, unix=None):
        self.pages = {"/v1/memory": memory(), "/v1/census": census()}
        self.later = {}  # pages from the second time on
        self.raw, self.status, self.asked = None, 200, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                if outer.raw is not None:
                    outer.raw(self.wfile)
                    return
                path = self.path.partition("?")[0]
                body = json.dumps(outer.pages[path]).encode()
                outer.pages[path] = outer.later.pop(path, outer.pages[path])
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(body)

            def handle(self):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    super().handle()

            def log_message(self, *_):
                pass

            def address_string(self):
                return "somebody"

        class TCP(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        class Unix(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self.make = (lambda: Unix(unix, Handler)) if unix else \
            (lambda: TCP(("127.0.0.1", self.port), Handler))
        self.port = 0
        self.server = None
        self.start()
        self.url = f"unix:{unix}" if unix else f"http://127.0.0.1:{self.port}"

    def start(self):
        self.server = self.make()
        if not isinstance(self.server.server_address, str):
            self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def standing_in(unix=None):
    server = StandIn(unix)
    try:
        yield server
    finally:
        server.stop()


class Terminal:
    """The program on a pty of its own session; frames as lists of lines."""

    def __init__(self, *arguments, columns=80, lines=24, term="xterm"):
        self.master, self.slave = pty.openpty()
        self.set_size(columns, lines)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [Options.program, "top", "--interval", "100ms", *arguments], stdin=self.slave,
            stdout=self.slave, stderr=self.slave, env={**os.environ, "TERM": term},
            preexec_fn=self.own_terminal)

    def own_terminal(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)

    def set_size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                return False
        return bool(ready)

    def frame(self):
        """The last one that is whole."""
        frames = re.split(rb"\x1b\[H", self.seen)[1:]
        whole = [frame for frame in frames if b"\x1b[J" in frame]
        if not whole:
            return []
        text = whole[-1].partition(b"\x1b[J")[0].replace(b"\x1b[K", b"")
        return re.sub(rb"\x1b\[\d*m", b"", text).decode("ascii").split("\r\n")

    def until(self, what, condition):
        end = time.monotonic() + WAIT
        while not (got := condition(self.frame())):
            if time.monotonic() > end:
                raise AssertionError(f"{what}:\n" + "\n".join(self.frame()))
            self.read(0.1)
        return got

    def press(self, keys):
        os.write(self.master, keys.encode())

    def rows(self, frame):
        """Names of the rows below the titles."""
        titles = [i for i, line in enumerate(frame) if re.match(r"\*?NAME ", line)]
        if not titles:
            return []
        names = (line.split()[0] for line in frame[titles[0] + 1:-1] if line)
        return list(names)

    def drain(self):
        """All that was written; who does not read stops a program that writes more than fits."""
        while self.read(0.1):
            pass

    def end(self):
        """Its status, when all it wrote was read."""
        end = time.monotonic() + WAIT
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.1)
        self.drain()
        return self.process.wait(0)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)


@contextlib.contextmanager
def on_terminal(*arguments, **size):
    terminal = Terminal(*arguments, **size)
    try:
        yield terminal
    finally:
        terminal.close()


def has_rows(terminal, names):
    return lambda frame: terminal.rows(frame) == names


def top(*arguments, **more):
    return subprocess.run([Options.program, "top", *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, **more)


# --- keys ----------------------------------------------------------------------------------------

def test_sorting():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("sorted by use", has_rows(terminal, ["/a", "/b", "/c"]))
        terminal.press("r")
        terminal.until("the other way round", has_rows(terminal, ["/c", "/b", "/a"]))
        terminal.press("r<")
        terminal.until("the name is marked", lambda frame: any(
            line.startswith("*NAME") and " USED" in line for line in frame))
        server.pages["/v1/memory"] = memory((("/z", 9), ("/y", 5 << 20), ("/b", 2 << 20)))
        terminal.until("sorted by name", has_rows(terminal, ["/b", "/y", "/z"]))
        terminal.press("\x1b[C")
        terminal.until("the right arrow", has_rows(terminal, ["/y", "/b", "/z"]))
        terminal.press(">>>>>>>>")
        terminal.until("by all others to the name again", has_rows(terminal, ["/y", "/b", "/z"]))


def test_sorting_by_calls():
    with standing_in() as server, on_terminal(server.url, "--sort", "calls") as terminal:
        terminal.until("the most calls first", has_rows(terminal, ["/c", "/b", "/a"]))


def test_filter():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("all", has_rows(terminal, ["/a", "/b", "/c"]))
        terminal.press("/Bx\x7f")
        terminal.until("while it is typed", has_rows(terminal, ["/b"]))
        terminal.until("what is typed", lambda frame: frame[-1] == "only names with: B_")
        terminal.press("\r")
        terminal.until("kept", lambda frame: frame[0].endswith("routes with B"))
        terminal.press("/q\x1b")
        terminal.until("dropped", has_rows(terminal, ["/a", "/b", "/c"]))


def test_pause():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("drawn", has_rows(terminal, ["/a", "/b", "/c"]))
        terminal.press("p")
        terminal.until("paused", lambda frame: frame[-1].startswith("paused"))
        asked = server.asked
        server.pages["/v1/memory"] = memory((("/new", 1),))
        time.sleep(0.5)  # five intervals in which it could have asked
        equal(server.asked, asked, "asked while paused")
        terminal.press("p")
        terminal.until("goes on", has_rows(terminal, ["/new"]))


def test_views_and_help():
    with standing_in() as server, on_terminal(server.url) as terminal:
        for view in ("routes", "stores", "kinds", "objects", "routes"):
            terminal.until(view, lambda frame, view=view: frame and frame[0].endswith(view)
                           and any("NAME" in line for line in frame))
            terminal.press("v")
        terminal.press("h")
        terminal.until("help", lambda frame: any("sort by the column" in line for line in frame))
        terminal.press("h")
        terminal.until("the table again", lambda frame: any("NAME" in line for line in frame))


def test_scrolling():
    with standing_in() as server:
        server.pages["/v1/memory"] = memory([(f"/{i:03}", (200 - i) << 20) for i in range(200)])
        with on_terminal(server.url, lines=12) as terminal:
            terminal.until("the first", lambda frame: terminal.rows(frame)[:1] == ["/000"])
            terminal.press("\x1b[B" * 30)
            terminal.until("further down", lambda frame: terminal.rows(frame)[:1] == ["/030"])
            terminal.press("\x1b[A" * 29)
            terminal.until("and up", lambda frame: terminal.rows(frame)[:1] == ["/001"])


# --- sizes ---------------------------------------------------------------------------------------

def test_resize():
    with standing_in() as server, on_terminal(server.url) as terminal:
        for columns, lines in ((80, 24), (40, 10), (200, 60), (20, 6), (80, 24)):
            terminal.set_size(columns, lines)
            frame = terminal.until(f"{columns} x {lines}", lambda frame, lines=lines:
                                   len(frame) == lines and frame)
            terminal.until("within its columns", lambda frame, columns=columns:
                           max(map(len, frame)) <= columns and
                           ("PRIVATE" in " ".join(frame)) == (columns >= 80))


def test_tiny():
    """Smaller than can be drawn for: no harm."""
    with standing_in() as server, on_terminal(server.url, columns=1, lines=1) as terminal:
        terminal.until("something", lambda frame: len(frame) == 6)
        terminal.press("q")
        equal(terminal.end(), 0)


# --- ways out ------------------------------------------------------------------------------------

def check_given_back(terminal, *wanted):
    status = terminal.end()
    equal(status in wanted, True, f"exit status {status}")
    equal(termios.tcgetattr(terminal.slave), terminal.before, "settings")
    equal(terminal.seen.count(b"\x1b[?1049h"), terminal.seen.count(b"\x1b[?1049l"), "screens")
    equal(LEAVE in terminal.seen[-40:], True, f"the last: {terminal.seen[-40:]}")


def test_quit():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("drawn", has_rows(terminal, ["/a", "/b", "/c"]))
        equal(termios.tcgetattr(terminal.slave) != terminal.before, True, "keys come one by one")
        terminal.press("q")
        check_given_back(terminal, 0)


def test_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV,
                   signal.SIGABRT):
        with standing_in() as server, on_terminal(server.url) as terminal:
            terminal.until("drawn", has_rows(terminal, ["/a", "/b", "/c"]))
            terminal.process.send_signal(number)
            sanitized = Options.sanitized and number in (signal.SIGSEGV, signal.SIGABRT)
            check_given_back(terminal, -number, *((1,) if sanitized else ()))


def test_interrupt_key():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("drawn", has_rows(terminal, ["/a", "/b", "/c"]))
        terminal.press("\x03")
        check_given_back(terminal, -signal.SIGINT)


def test_stop_and_go_on():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("drawn", has_rows(terminal, ["/a", "/b", "/c"]))
        terminal.press("\x1a")
        pid = 0
        while pid == 0:
            terminal.read(0.1)
            pid, status = os.waitpid(terminal.process.pid, os.WUNTRACED | os.WNOHANG)
        equal(os.WIFSTOPPED(status), True, "stopped")
        equal(termios.tcgetattr(terminal.slave), terminal.before, "settings while stopped")
        terminal.drain()
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.seen = b""
        terminal.until("drawn again", has_rows(terminal, ["/a", "/b", "/c"]))
        equal(b"\x1b[?1049h" in terminal.seen, True, "its screen again")
        terminal.press("q")
        equal(terminal.end(), 0)


def test_terminal_goes_away():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("drawn", has_rows(terminal, ["/a", "/b", "/c"]))
        os.close(terminal.slave)
        os.close(terminal.master)
        equal(terminal.process.wait(WAIT) in (0, -signal.SIGHUP), True, "it ends")


# --- the other side ------------------------------------------------------------------------------

def test_gone_and_back():
    with standing_in() as server, on_terminal(server.url) as terminal:
        terminal.until("drawn", has_rows(terminal, ["/a", "/b", "/c"]))
        server.stop()
        terminal.until("says so", lambda frame: re.match(
            r"gone for .*does not answer: Connection refused", frame[-1]))
        equal(terminal.rows(terminal.frame()), ["/a", "/b", "/c"], "what was seen last")
        server.start()
        terminal.until("is back", lambda frame: frame[-1].startswith("< > sort"))


def test_slow_host():
    """A terminal tells of a host that takes too long, and looks again; a single look waits on."""
    may_answer = threading.Event()

    def late(to):
        may_answer.wait(WAIT)
        to.write(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(memory()).encode())

    with standing_in() as server:
        server.raw = late
        with subprocess.Popen([Options.program, "top", server.url, "--once"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as once:
            while server.asked == 0 and once.poll() is None:
                time.sleep(0.01)
            with on_terminal(server.url) as terminal:
                terminal.until("says that it waits", lambda frame: frame and re.match(
                    r"gone for .*does not answer within 3\.0 s", frame[-1]))
                server.raw = None
                may_answer.set()
                terminal.until("is back", has_rows(terminal, ["/a", "/b", "/c"]))
            output, errors = once.communicate(timeout=WAIT)
        equal((once.returncode, errors), (0, ""), "a single look")
        equal("\n/a " in output, True, output)


def test_never_there():
    with on_terminal("http://127.0.0.1:1") as terminal:
        terminal.until("says so", lambda frame: frame and "Connection refused" in frame[-1])
        terminal.press("q")
        check_given_back(terminal, 0)


def test_enemies():
    def garbage(to):
        to.write(b"\x1b[31mnot http\r\n\r\n")

    def endless(to):
        with contextlib.suppress(OSError):
            to.write(b"HTTP/1.0 200 OK\r\n\r\n{\"accounts\":{\"x\":\"")
            while True:
                to.write(b"a" * 65536)

    def cut(to):
        to.write(b"HTTP/1.0 200 OK\r\n\r\n{\"accounts\":{")

    def deep(to):
        to.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 1000000)

    with standing_in() as server:
        for raw, code, text in ((garbage, 5, "HTTP/1.0"), (endless, 22, "longer than 16.0 MiB"),
                                (cut, 5, "no JSON at byte"), (deep, 5, "no JSON")):
            server.raw = raw
            done = top(server.url, "--once")
            equal((done.returncode, done.stdout), (code, ""), raw.__name__)
            equal(text in done.stderr and "\x1b" not in done.stderr, True, done.stderr)
        server.raw, server.status = None, 429
        done = top(server.url, "--once")
        equal((done.returncode, "status is 429" in done.stderr), (19, True), done.stderr)
        server.status, server.pages["/v1/census"] = 200, {"hello": "world"}
        done = top(server.url, "--once")
        equal((done.returncode, "is this a `weir serve`?" in done.stderr), (5, True), done.stderr)


def test_names_are_cleaned():
    with standing_in() as server:
        server.pages["/v1/memory"] = memory((("/\x1b[2J\x1b]0;x\x07\u20ac\u202e\n", 5 << 20),))
        for arguments in ([], ["--view", "kinds"], ["--json"]):
            done = top(server.url, "--once", *arguments)
            equal(done.returncode, 0, done.stderr)
            equal(all(c == "\n" or " " <= c < "\x7f" for c in done.stdout), True, done.stdout)
            equal("/?[2J?]0;x???" in done.stdout, True, done.stdout)


# --- without a terminal --------------------------------------------------------------------------

def test_needs_a_terminal():
    done = top()
    equal((done.returncode, "--once" in done.stderr), (2, True), done.stderr)
    with on_terminal("http://127.0.0.1:1", term="dumb") as terminal:
        equal(terminal.end(), 2)
        equal(b"\x1b" in terminal.seen, False)


def test_wrong_options():
    for arguments in (["--view", "x"], ["--sort", "x"], ["--view", "kinds", "--sort", "calls"],
                      ["--interval", "1ms"], ["ftp://x"], ["http://x/path"], ["a", "b"]):
        equal(top(*arguments).returncode, 2, str(arguments))


def test_more_stores_than_are_listed():
    """What comes from accounts and memories is exact; what only stores tell is marked."""
    with standing_in() as server:
        server.pages["/v1/census"]["stores_rest"] = {"stores": 7, "used_bytes": 9}
        done = top(server.url, "--once")
        equal(re.search(r"^/a +(\S+ MiB) +(\S+ MiB) +(\S+ MiB) +(768 KiB) +(\S+) +(\S+) ",
                        done.stdout, re.M).groups(),
              ("3.0 MiB", "3.0 MiB", "1.5 MiB", "768 KiB", "3+", "1+"), done.stdout)
        equal("(the host did not list 7 smaller stores)" in done.stdout, True, done.stdout)


def test_batch_counts_and_rates():
    with standing_in() as server:
        done = top(server.url, "--batch", "--count", "3", "--interval", "100ms")
        equal(done.returncode, 0, done.stderr)
        equal(done.stdout.count("weir top  http"), 3)
        equal(max(map(len, done.stdout.splitlines())) <= 80, True)
        server.later["/v1/memory"] = memory((("/a", 4 << 20), ("/b", 2 << 20)))
        begin = time.monotonic()
        process = subprocess.Popen([Options.program, "top", server.url, "--json", "--count", "2",
                                    "--interval", "500ms"], stdout=subprocess.PIPE, text=True)
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        seconds = time.monotonic() - begin
        equal(process.wait(WAIT), 0)
        process.stdout.close()
        equal({row["growth_bytes_per_s"] for row in first["rows"]}, {None})
        rates = {row["name"]: row["growth_bytes_per_s"] for row in second["rows"]}
        equal(rates["/b"], 0)
        equal((1 << 20) / seconds <= rates["/a"] <= (1 << 20) / 0.5, True,
              f"{rates} in {seconds} s")


def test_unix_socket():
    with tempfile.TemporaryDirectory() as folder, \
            standing_in(os.path.join(folder, "host.sock")) as server:
        done = top(server.url, "--once")
        equal((done.returncode, "/a" in done.stdout), (0, True), done.stderr)
    equal(top("unix:/nowhere/x.sock", "--once").returncode, 11)
    equal(top("unix:/" + "x" * 200, "--once").returncode, 11)


# --- a host of Weir's ----------------------------------------------------------------------------

def test_host():
    if not os.path.exists(os.path.join(Options.guests, "hello.wasm")):
        return
    with serving(CONFIG) as server:
        for _ in range(4):
            equal(server.get("/hello")[0], 200)
        url = f"http://127.0.0.1:{server.port}"
        seen = json.loads(top(url, "--once", "--json").stdout)
        rows = {row["name"]: row for row in seen["rows"]}
        equal((rows["/hello"]["calls"], rows["/hello"]["live"], rows["/echo"]["live"]), (4, 6, 4))
        equal(0 < rows["/hello"]["private_bytes"] <= rows["/hello"]["resident_bytes"]
              <= rows["/hello"]["linear_bytes"] <= rows["/hello"]["used_bytes"], True, str(rows))
        equal(seen["process"]["holds"], True)
        parts = sum(seen["process"]["classes"].values()) + seen["process"]["unclassified_bytes"]
        equal(parts, seen["process"]["rss_bytes"], "equation (a)")
        equal((seen["objects"]["store"], seen["completed_instances"]), (5, 4))
        stores = json.loads(top(url, "--once", "--json", "--view", "stores").stdout)["rows"]
        equal(sum(row["calls"] for row in stores), 4)
        with on_terminal(url) as terminal:
            terminal.until("the routes", lambda frame: {"/hello", "/echo", "(server)"}
                           <= set(terminal.rows(frame)))
            server.stop()
            terminal.until("says that it is gone", lambda frame: frame[-1].startswith("gone for"))
            terminal.press("q")
            check_given_back(terminal, 0)


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]


def main():
    parse_options()
    failed = 0
    for test in TESTS:
        begin = time.monotonic()
        try:
            test()
            print(f"pass {test.__name__} {time.monotonic() - begin:.1f} s")
        except Exception as error:  # every test is told
            failed += 1
            print("FAIL", test.__name__, type(error).__name__, error)
    print(f"{len(TESTS) - failed} of {len(TESTS)} passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
