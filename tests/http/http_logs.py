#!/usr/bin/env python3
"""The access log and the events: every request has its line, whole, whatever it holds; rotation
under load loses none; a log that cannot be written holds nobody up and says what it dropped."""
import json
import os
import re
import signal
import sys
import threading

from weir_http import PATIENCE, Thread, equal, parse_options, serving, until

CONFIG = """
cache: {{cache}}
server: {{{{ loops: 2, workers: 2, spool: {{spool}} }}}}
log: {{{{ {log} }}}}
routes:
  - {{{{ path: /hello, module: hello.wasm, limits: {{{{ memory: 4MiB, body: 64KiB }}}} }}}}
  - {{{{ path: /bad, module: misbehave.wasm,
      limits: {{{{ memory: 16MiB, time: 10s, fuel: 50000000 }}}} }}}}
"""


def lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().split("\n")[:-1]


def records(server, name="access"):
    return [json.loads(line) for line in lines(os.path.join(server.folder.name, name))]


def tells_requests():
    text = CONFIG.format(log="access: access, access_format: json, events: events, "
                             "events_format: json, level: debug")
    with serving(text) as server:
        server.get("/hello/a?b=c")
        server.request("POST", "/hello", b"x" * 1000,
                       {"X-Request-Id": "mine-1", "User-Agent": 'a"b\\c\x01\xfc',
                        "Referer": "http://x/"})
        _, headers, _ = server.request("GET", "/bad?loop", None, {"X-Request-Id": "two words"})
        server.get("/nowhere")
        server.request("HEAD", "/healthz")
        server.get("/bad?exit=3")
        until("six lines", lambda: len(records(server)) == 6)
        by_target = {record["target"]: record for record in records(server)}
        first, second, looped, nowhere, head, ended = (
            by_target[target] for target in ("/hello/a?b=c", "/hello", "/bad?loop", "/nowhere",
                                             "/healthz", "/bad?exit=3"))
        equal((first["method"], first["target"], first["status"], first["route"],
               first["refused"]), ("GET", "/hello/a?b=c", 200, "/hello", "none"), first)
        equal(first["bytes"], 13, "hello, world")
        equal(first["memory_bytes"] > 65536 and first["cpu_us"] < first["duration_us"] + 1000,
              True, first)
        equal((second["id"], second["received"], second["referer"]), ("mine-1", 1000, "http://x/"))
        equal(second["agent"], 'a"b\\c\x01\ufffd', "untrusted bytes")
        equal(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", looped["id"]) is not None, True,
              "a bad id is replaced")
        equal(headers["X-Request-Id"], looped["id"], "the answer names it")
        equal(looped["status"], 504, looped)
        equal(looped["refused"] in ("deadline", "fuel"), True, looped)
        equal(looped["cpu_us"] > 1000 and looped["fuel"] > 1000000, True, looped)
        equal((nowhere["status"], nowhere["refused"], nowhere["route"]), (404, "not_found", ""))
        equal((head["status"], head["bytes"]), (200, 0), head)
        equal((ended["status"], ended["refused"]), (502, "exit"), ended)
        events = until("its event", lambda: [event for event in records(server, "events")
                                            if event["event"] == "request_failed"
                                            and event["id"] == ended["id"]])
        equal((events[0]["level"], events[0]["route"], events[0]["refused"]),
              ("warning", "/bad", "exit"), events)
        equal(server.stop(), 0)
        names = [event["event"] for event in records(server, "events")]
        equal((names[0], names[-2:]), ("started", ["stopping", "drained"]), names)
        equal(server.read_log(), "", "nothing on standard error")


COMBINED = re.compile(
    r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
    r'"GET (/[!-~]*) HTTP/1\.1" (\d{3}) (\d+) "-" "(-|[ -~]+)" \S+ \S+ \S+ '
    r'us=\d+ cpu_us=\d+ fuel=\d+ memory=\d+ received=\d+ (\w+) "(.*)"')


def tells_combined():
    with serving(CONFIG.format(log="access: stdout, events_format: logfmt")) as server:
        server.get("/hello?1")
        server.request("GET", "/nowhere", None, {"User-Agent": 'x" 200 "'})
        two = sorted(server.process.stdout.readline() for _ in range(2))
        match = [COMBINED.fullmatch(line.rstrip("\n")) for line in two if "/nowhere" in line][0]
        equal(match and (match[1], match[2], match[4]), ("/nowhere", "404", 'x\\" 200 \\"'))
        server.process.send_signal(signal.SIGTERM)
        equal(server.process.wait(PATIENCE), 0)
        log = server.read_log()
        equal(re.search(r"^time=\S+ level=info event=started message=\"requests are answered\" "
                        r"url=http://127\S+ plan_bytes=\d+", log, re.M) is not None, True, log)


def totals_tenants():
    """Two routes of one tenant, one that is its own; they outlast a reload that changes routes."""
    text = CONFIG.format(log="access: access, access_format: json, events: events, "
                             "events_format: json")
    text = text.replace("path: /hello,", "path: /hello, tenant: acme,")
    text += "  - {{ path: /hello/more, module: hello.wasm, tenant: acme }}\n"

    def tenants():
        return {tenant["tenant"]: tenant for tenant in json.loads(server.get("/v1/tenants")[2])}

    with serving(text) as server:
        for _ in range(3):
            server.get("/hello")
        server.request("POST", "/hello/more", b"x" * 1000)
        server.request("POST", "/hello", b"x" * 100000)  # over the limit: no guest
        server.get("/bad?loop")
        until("all are counted", lambda: sum(each["requests"] for each in tenants().values()) == 6)
        acme, bad = tenants()["acme"], tenants()["/bad"]
        equal((acme["routes"], acme["requests"]), (["/hello", "/hello/more"], 5), acme)
        equal((acme["by_status"]["2xx"], acme["refused"]), (4, {"body_too_large": 1}), acme)
        equal(acme["received_bytes"] >= 1000 and acme["sent_bytes"] >= 4 * 13, True, acme)
        equal(acme["peak_bytes"] > 1 << 20 and acme["used_bytes"] <= acme["peak_bytes"], True, acme)
        equal(0 < acme["cpu_ns"] < bad["cpu_ns"], True, (acme, bad))
        equal(server.metric(r'^weir_tenant_refusals_total\{tenant="acme",reason="body_too_la'), 1)
        equal(server.metric(r'^weir_tenant_requests_total\{tenant="acme"'), 5)
        logged = {(record["route"], record["tenant"], record["refused"])
                  for record in records(server)}
        equal(("/hello", "acme", "body_too_large") in logged and
              ("/hello/more", "acme", "none") in logged, True, logged)
        path = os.path.join(server.folder.name, "weir.yaml")
        with open(path, encoding="utf-8") as file:
            changed = file.read().replace("body: 64KiB", "body: 1MiB").replace("/bad,", "/worse,")
        with open(path, "w", encoding="utf-8") as file:
            file.write(changed)
        server.process.send_signal(signal.SIGHUP)
        until("reloaded", lambda: [event for event in records(server, "events")
                                  if event["event"] == "reloaded"])
        changes = {(event["route"], event["change"], event["keys"])
                   for event in records(server, "events") if event["event"] == "route"}
        equal(changes, {("/hello", "changed", "limits.body"), ("/worse", "added", ""),
                        ("/bad", "removed", "")}, "the log tells what changed")
        equal(tenants()["acme"]["requests"], 5, "they go on")
        equal(sorted(tenants()), ["/worse", "acme"], "as many as are configured")


def tells_counts():
    """What is only counted elsewhere becomes an event, at the latest when it stops."""
    text = CONFIG.format(log="events: events, events_format: json")
    text += "  - {{ path: /count, module: counter.wasm, mode: resident,\n"
    text += "      recycle: {{ calls: 2 }} }}\n"
    with serving(text) as server:
        for _ in range(6):
            equal(server.get("/count")[0], 200)
        server.wait_idle()
        equal(server.stop(), 0)
        recycled = [event for event in records(server, "events") if event["event"] == "recycled"]
        equal({event["route"] for event in recycled}, {"/count"}, recycled)
        equal(sum(event["count"] for event in recycled), 3, recycled)


def rotates(number):
    """Four clients, twenty rotations: each request has one line, in one of the files."""
    text = CONFIG.format(log="access: access, access_format: json, events: events, "
                             "events_format: json")
    with serving(text) as server:
        stop, sent = threading.Event(), [0] * 4

        def ask(index):
            connection = server.connect()
            while not stop.is_set():
                connection.request("GET", f"/hello?{index}.{sent[index]}")
                equal(connection.getresponse().read(), b"hello, world\n")
                sent[index] += 1
            connection.close()

        threads = [Thread(target=ask, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        path = os.path.join(server.folder.name, "access")
        for turn in range(20):
            before = sum(sent)
            until("more requests", lambda: sum(sent) > before + 20)
            os.rename(path, f"{path}.{turn}")
            server.process.send_signal(number)
            until("the new file", lambda: os.path.exists(path))
        stop.set()
        for thread in threads:
            thread.join()
        equal(server.stop(), 0)
        got = [[] for _ in range(4)]
        for name in [f"access.{turn}" for turn in range(20)] + ["access"]:
            for record in records(server, name):
                index, count = record["target"].split("?")[1].split(".")
                got[int(index)].append(int(count))
        for index in range(4):
            equal(got[index], list(range(sent[index])), "every request, once, in order")
        equal([record for record in records(server, "events") if record["event"] == "log"], [])
        print(sum(sent), "requests over 21 files")


def drops():
    """A FIFO whose reader stands still: requests are answered, what was dropped is said."""
    text = CONFIG.format(log="access: fifo, access_format: json, events: events, "
                             "events_format: json, queue: 64KiB")
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        with serving(text.replace("access: fifo", f"access: {fifo}")) as server:
            connection = server.connect()
            for number in range(1000):
                connection.request("GET", "/hello?" + "x" * 200)
                equal(connection.getresponse().read(), b"hello, world\n")
            dropped = server.metric(r'^weir_log_dropped_total\{log="access"')
            equal(dropped > 0, True, "the pipe and the queue are full")
            connection.close()
            data = []

            def read_all():
                while part := os.read(reader, 65536):
                    data.append(part)

            os.set_blocking(reader, True)
            thread = Thread(target=read_all)
            thread.start()
            until("the event", lambda: [event for event in records(server, "events")
                                       if event["event"] == "log"])
            equal(server.stop(), 0)
            thread.join()
            got = [json.loads(line)["status"] for line in b"".join(data).splitlines()]
            said = [event["lines"] for event in records(server, "events")
                    if event["event"] == "log"]
            equal(set(got), {200}, "whole lines")
            equal(len(got) + sum(said), 1001, "every request is there or counted")
        os.close(reader)


def main():
    parse_options()
    tells_requests()
    tells_combined()
    totals_tenants()
    tells_counts()
    rotates(signal.SIGUSR1)
    rotates(signal.SIGHUP)
    drops()
    print("all passed")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
