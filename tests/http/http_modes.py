#!/usr/bin/env python3
"""Instance modes: what a guest finds of earlier requests, when a resident is recycled and what that
costs, who waits for whom, and that nobody can take a resident's state away by leaving."""
import json
import os
import re
import socket
import subprocess
import tempfile

from weir_http import Options, Thread, equal, main, until

LIMITS = "limits: {{ memory: 8MiB, time: 60s, concurrency: 8, body: 1MiB, output: 1MiB }}"
HEAD = """
memory_max: 1GiB
cache: {cache}
server: {{ loops: 2, workers: 2, idle_timeout: 3s, body_timeout: 60s, write_timeout: 60s,
          drain_timeout: 3s, spool: {spool} }}
routes:
"""
ROUTES = [
    "path: /hello, module: hello.wasm, limits: {{ memory: 4MiB }}",
    "path: /pool, mode: pool, verify: true, env: [ 'ROUTE=pool' ]",
    "path: /res, mode: resident, recycle: {{ calls: 10 }}, env: [ 'ROUTE=res' ]",
    "path: /other, mode: resident, handler: other",
    "path: /bad, mode: resident, limits: {{ memory: 8MiB, time: 4s, body: 400KiB, output: 1MiB }}",
    "path: /queue, mode: resident",
    "path: /short, mode: resident, limits: {{ memory: 8MiB, time: 2s }}",
    "path: /two, mode: resident, residents: 2, affinity: X-Session",
    "path: /mark, mode: resident, recycle: {{ memory: 1MiB }}",
    "path: /linear, mode: resident, recycle: {{ linear: 1MiB }}",
    "path: /idle, mode: resident, recycle: {{ idle: 200ms }}",
    "path: /old, mode: resident, recycle: {{ age: 300ms }}",
    "path: /files, mode: resident, dirs: [ '{spool}::/data:ro' ]",
]


def route(text):
    if "module:" not in text:
        text += ", module: reactor_tester.wasm"
    return "  - {{ " + text + ("" if "limits:" in text else ", " + LIMITS) + " }}\n"


CONFIG = HEAD + "".join(map(route, ROUTES))


def ask(server, path, **more):
    """The words that the guest answered, as a dictionary."""
    status, _, text = server.request("GET", path, **more)
    equal(status, 200, path + ": " + text.decode("latin-1")[:200])
    return dict(word.split("=", 1) for word in text.decode().split() if "=" in word)


def count(server, path, **more):
    return int(ask(server, path, **more)["count"])


def figures(server, path):
    return next(pool for pool in server.memory()["pools"] if pool["route"] == path)


def test_pool_finds_what_initialize_left(server):
    before = figures(server, "/pool")
    for i in range(30):
        said = ask(server, "/pool?leak=100000")
        equal((said["count"], said["set_ups"], said["route"]), ("101", "1", "pool"), f"request {i}")
    after = figures(server, "/pool")
    equal(after["mode"], "pool")
    equal(after["resets"] - before["resets"], 30, "each is reset")
    equal((after["faults"], after["spoiled"]), (0, 0), "and verified")


def test_resident_keeps_until_recycled(server):
    for life in range(3):
        for i in range(10):
            said = ask(server, "/res?x=%d" % i)
            equal(int(said["count"]), 101 + i, f"life {life}")
            equal((said["query"], said["set_ups"]), ("x=%d" % i, "1"), "this request's environment")
    now = figures(server, "/res")
    equal((now["recycled"]["calls"], now["resets"], now["spoiled"]), (3, 0, 0))


def test_a_handler_of_another_name(server):
    equal(ask(server, "/other")["handler"], "other")
    equal(count(server, "/other"), 102)


def test_misbehaviour_ends_the_resident_only(server):
    count(server, "/other")
    for act, status, error in (
            ("trap", 500, "trap"), ("recurse", 500, "trap"), ("bomb", 500, "trap"),
            ("exit=3", 502, "exit"), ("exit=0", 502, "no_answer"), ("loop", 504, "deadline"),
            ("sleep", 504, "deadline")):
        kept, spoiled = count(server, "/other"), figures(server, "/bad")["spoiled"]
        count(server, "/bad")
        got, _, text = server.get("/bad?" + act)
        equal((got, json.loads(text)["error"]), (status, error), act)
        equal(count(server, "/bad"), 101, "a new one after " + act)
        equal(figures(server, "/bad")["spoiled"], spoiled + 1, act)
        equal(count(server, "/other"), kept + 1, "others keep theirs")
    with server.socket() as raw:
        raw.sendall(b"GET /bad?flood HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while raw.recv(65536):
            pass
    equal(count(server, "/bad"), 101, "a new one after flood")


def test_bad_answers_spoil_nothing(server):
    begin = count(server, "/bad")
    equal(server.get("/bad?garbage")[0], 502)
    equal(server.get("/bad?answer=4")[0], 502)
    equal(server.get("/bad?close")[0], 502, "it closed its output")
    equal(count(server, "/bad"), begin + 4, "and has it again")
    equal(server.request("POST", "/bad?ignore", b"x" * 300000)[0], 200)
    status, _, text = server.request("POST", "/bad", b"y" * 5)
    equal((status, b"body=5 " in text), (200, True), "nothing of the last body")
    equal(server.request("POST", "/bad", b"x" * 500000)[0], 413, "not even begun")
    equal(server.request("POST", "/bad", iter([b"x" * 100000] * 5))[0], 413, "chunked: begun")
    equal(count(server, "/bad"), begin + 8)


def together(server, paths):
    """All at once; the answers' statuses and texts, in the order they came."""
    answers, threads = [], []
    for path in paths:
        thread = Thread(target=lambda p=path: answers.append(server.get(p)))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return answers


def test_one_at_a_time(server):
    begin = count(server, "/queue")
    answers = together(server, ["/queue?nap=50"] * 8)
    equal([status for status, _, _ in answers], [200] * 8, "all wait for their turn")
    counts = [int(re.search(rb"count=(\d+)", text).group(1)) for _, _, text in answers]
    equal(sorted(counts), list(range(begin + 1, begin + 9)), "one guest, one after the other")


def test_the_queue_is_bounded(server):
    holder = start_upload(server, "/queue")
    wait_in_use(server, "/queue")
    threads = [Thread(target=lambda: server.get("/queue")) for _ in range(7)]
    for thread in threads:
        thread.start()
    until("seven wait", lambda: figures(server, "/queue")["waiting"] == 7)
    equal(server.metric(r'^weir_route_waiting\{route="/queue"\}'), 7)
    status, headers, text = server.get("/queue")
    equal((status, json.loads(text)["error"]), (429, "busy"))
    equal(headers["Retry-After"], "1")
    end_upload(holder)
    for thread in threads:
        thread.join()
    equal(figures(server, "/queue")["waiting"], 0)


def test_waiting_ends(server):
    """After the route's time it is told so. Nothing of that touches the guest."""
    before = count(server, "/short")
    holder = start_upload(server, "/short")
    wait_in_use(server, "/short")
    status, _, text = server.get("/short")
    refused = json.loads(text)
    equal((status, refused["error"], "in time" in refused["reason"]), (429, "busy", True))
    equal(b"count=%d " % (before + 1) in end_upload(holder), True)
    equal(count(server, "/short"), before + 2)


def start_upload(server, path, head=""):
    raw = server.socket()
    raw.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
                f"{head}\r\n".encode())
    raw.sendall(b"x" * 1000)
    return raw


def wait_in_use(server, path, number=1):
    until(f"{number} of {path} in use", lambda: figures(server, path)["in_use"] == number)


def end_upload(raw):
    raw.sendall(b"x" * 99000)
    text = raw.recv(65536)
    raw.close()
    return text


def test_a_body_on_its_way_holds_the_guest(server):
    begin = count(server, "/queue")
    raw = start_upload(server, "/queue")
    wait_in_use(server, "/queue")
    answers = []
    thread = Thread(target=lambda: answers.append(server.get("/queue")))
    thread.start()
    until("one waits", lambda: figures(server, "/queue")["waiting"] == 1)
    equal(answers, [], "it waits")
    text = end_upload(raw)
    equal(b"count=%d " % (begin + 1) in text and b"body=100000" in text, True, text)
    thread.join()
    equal(b"count=%d " % (begin + 2) in answers[0][2], True)


def test_leaving_takes_nothing_away(server):
    begin = count(server, "/queue")
    raw = start_upload(server, "/queue")  # while it reads
    wait_in_use(server, "/queue")
    raw.close()
    equal(count(server, "/queue"), begin + 2, "the guest came to its end")
    raw = server.socket()  # while it works
    raw.sendall(b"GET /queue?nap=3000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_in_use(server, "/queue")
    raw.close()
    equal(count(server, "/queue"), begin + 4)
    raw = server.socket()  # while it writes more than anybody takes
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.sendall(b"GET /queue?fill=900000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_in_use(server, "/queue")
    raw.close()
    equal(count(server, "/queue"), begin + 6)
    # who waits and leaves is out of the queue
    holder = start_upload(server, "/queue")
    wait_in_use(server, "/queue")
    raw = server.socket()
    raw.sendall(b"GET /queue HTTP/1.1\r\nHost: x\r\n\r\n")
    until("one waits", lambda: figures(server, "/queue")["waiting"] == 1)
    raw.close()
    until("it waits no more", lambda: figures(server, "/queue")["waiting"] == 0)
    end_upload(holder)
    equal(count(server, "/queue"), begin + 8, "it was not run")
    equal(figures(server, "/queue")["spoiled"], 0)


def test_clients_find_their_guest(server):
    mine, yours = {"X-Session": "a"}, {"X-Session": "b"}
    uploads = [start_upload(server, "/two", f"X-Session: {name}\r\n") for name in "ab"]
    wait_in_use(server, "/two", 2)  # one each
    for raw in uploads:
        end_upload(raw)
    first = {name: count(server, "/two", headers={"X-Session": name}) for name in "ab"}
    near = figures(server, "/two")["near_takes"]
    for i in range(1, 6):
        a, b = count(server, "/two", headers=mine), count(server, "/two", headers=yours)
        equal((a, b), (first["a"] + i, first["b"] + i), "each its own")
    equal(figures(server, "/two")["near_takes"] - near, 10)


def test_marks(server):
    for path, reason in (("/mark", "private"), ("/linear", "linear")):
        lives, last = 0, 100
        for i in range(60):
            now = count(server, path + "?leak=100000")
            equal(now in (last + 1, 101), True, f"{path} counts on or begins anew")
            lives += now == 101
            last = now
        recycled = figures(server, path)["recycled"]
        equal(4 <= lives <= 9, True, f"{path}: {lives} lives")
        equal(lives - 1 <= recycled[reason] <= lives, True, f"{path}: {recycled}")


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Pss_Anon: +(\d+) kB", file.read(), re.M).group(1)) << 10


def wait_gone(server, path):
    """Until each of the residents that were made, the first one at the start, has ended."""
    def is_gone():
        pool = figures(server, path)
        return sum(pool["recycled"].values()) == pool["cold_takes"] + 1
    until(f"the resident of {path} is gone", is_gone)


def test_idle_ones_give_their_memory_back(server):
    count(server, "/idle")
    wait_gone(server, "/idle")
    before, recycled = resident_bytes(server), figures(server, "/idle")["recycled"]["idle"]
    raw = start_upload(server, "/idle?leak=5000000")
    if not Options.sanitized:
        until("it holds what it took", lambda: resident_bytes(server) - before > 4 << 20)
    equal(b"count=101 " in end_upload(raw), True)
    wait_gone(server, "/idle")
    equal(figures(server, "/idle")["recycled"]["idle"], recycled + 1)
    if not Options.sanitized:
        grown = resident_bytes(server) - before
        equal(grown < 512 << 10, True, f"idle, it holds nothing: {grown}")
    equal(count(server, "/idle"), 101)


def test_age(server):
    equal(count(server, "/old") >= 101, True)
    wait_gone(server, "/old")
    equal(figures(server, "/old")["recycled"]["age"] > 0, True)
    equal(count(server, "/old"), 101)


def test_open_files_are_kept(server):
    with open(os.path.join(server.folder.name, "spool", "kept.txt"), "w", encoding="ascii") as file:
        file.write("x")
    equal(ask(server, "/files")["file"], "0")
    equal(ask(server, "/files?file")["file"], "1")
    equal(ask(server, "/files")["file"], "1")


def test_metrics(server):
    for name in ("near_takes", "spoiled", "faults"):
        server.metric(r"^weir_pool_%s_total\{" % name)
    equal(server.metric(r'^weir_pool_recycled_total\{route="/res",reason="calls"\}') >= 3, True)
    equal(server.metric(r'^weir_pool_faults_total\{'), 0)
    text = server.get("/metrics")[2].decode()
    for name in ("near_takes_total", "spoiled_total", "faults_total", "recycled_total"):
        equal(f"\nweir_pool_{name}{{" in text, True, name)


def refusal(text):
    """What `weir serve --check` says of a configuration with this route."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weir.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write((HEAD + route(text)).format(cache=os.path.join(folder, "cache"),
                                                   spool=folder))
        done = subprocess.run([Options.program, "serve", "--check", "--config", path, "--modules",
                               Options.guests], capture_output=True, text=True, timeout=60)
    equal(done.returncode != 0, True, text)
    return done.stderr


def test_refusals(_server):
    for text, words in (
            ("mode: often", '"often" is none of request, pool, resident'),
            ("handler: x", "mode pool or resident"),
            ("residents: 2", "mode resident"),
            ("mode: pool, recycle: {{ calls: 3 }}", "mode resident"),
            ("mode: resident, verify: true", "a resident is not reset"),
            ("mode: resident, residents: 9", "1 to 8"),
            ("mode: resident, recycle: {{ memory: 9MiB }}", "64.0 KiB to 8.0 MiB"),
            ("mode: resident, recycle: {{ calls: 0 }}", "out of range"),
            ("mode: resident, recycle: {{ call: 3 }}", "did you mean calls?"),
            ("mode: resident, module: hello.wasm", "it is a command"),
            ("mode: pool, handler: nothing", "exports no function 'nothing'"),
            ("mode: pool, handler: wrong", "must take no parameter"),
            ("mode: resident, residents: 8, limits: {{ memory: 1GiB, concurrency: 8 }}, "
             "memory_max: 1GiB", "holds no request")):
        said = refusal("path: /x, " + text)
        equal(words in said, True, f"{text}: {said}")


if __name__ == "__main__":
    main([value for name, value in list(globals().items()) if name.startswith("test_")], CONFIG)
