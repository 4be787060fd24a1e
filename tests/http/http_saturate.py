#!/usr/bin/env python3
"""Every bound of the plan, saturated one by one in a running host: what the ledger and the kernel
then count stays below the line of `weir plan`, and comes near it where a guest can drive it there.
"""
import json
import os
import subprocess
import sys
import time

from weir_http import Options, Thread, account, equal, parse_options, serving, until

MIB = 1 << 20
SLOTS = 10
CONNECTIONS = 60

CONFIG = """
memory_max: 400MiB
cache: {cache}
governor: {{ mem_free_limit: 0 }}
server: {{ loops: 2, workers: 2, connections_max: 60, idle_timeout: 60s, body_timeout: 60s,
          write_timeout: 60s, drain_timeout: 100ms, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, warm: 2, limits: {{ memory: 4MiB, concurrency: 4 }} }}
  - {{ path: /sqlite, module: sqlite.wasm, warm: 1, limits: {{ memory: 8MiB, concurrency: 1 }} }}
  - {{ path: /bad, module: misbehave.wasm, warm: 2,
      limits: {{ memory: 16MiB, time: 300s, concurrency: 10, body: 1MiB, output: 64MiB }} }}
"""


class Plan:
    def __init__(self, server, folder):
        text = subprocess.run([Options.program, "plan", os.path.join(folder, "weir.yaml"),
                               "--modules", Options.guests, "--json"], capture_output=True,
                              text=True, check=True).stdout
        self.json = json.loads(text)
        self.lines = {line["what"]: line["bytes"] for line in self.json["lines"]}
        self.server = server

    def holds(self, measured, *lines, near=0.0):
        """`near`: the share of the bound that must be reached, or nothing was saturated."""
        planned = sum(self.lines[line] for line in lines)
        name = ", ".join(lines)
        print(f"  {name}: {measured / MIB:.2f} of {planned / MIB:.2f} MiB")
        equal(measured <= planned, True, f"{name}: measured {measured}, planned {planned}")
        equal(measured >= near * planned, True, f"{name} was not saturated: {measured}")

    def whole(self, memory):
        """Sums and counts, whatever is saturated now."""
        holds = memory["holds"]
        equal(holds, True, "equation (a)")
        equal(memory["rss_bytes"] <= self.json["total_bytes"], True, "resident memory")
        host = memory["accounts"]
        equal(host["used_bytes"] + host["reserved_bytes"] <= self.json["charged_bytes"], True,
              f"what is charged: {host['used_bytes']} of {self.json['charged_bytes']}")
        for what in ("mappings", "descriptors"):
            equal(memory[what] <= self.json[what]["count"], True,
                  f"{what}: {memory[what]} of {self.json[what]['count']}")
        self.holds(memory["page_table_bytes"], "page tables of guests", "kernel: sockets, threads")
        self.holds(memory["classes"]["binary_and_libraries"] + memory["heap"]["uncharged_bytes"] +
                   memory["heap"]["free_resident_bytes"] + memory["unclassified_bytes"],
                   "libraries", near=0.3)
        self.holds(memory["classes"]["thread_stacks"], "thread stacks", "signal stacks, timer")


def hang(server, path, count):
    """So many requests that do not end."""
    sockets = [server.socket() for _ in range(count)]
    for socket in sockets:
        socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return sockets


def release(server, sockets):
    for socket in sockets:
        socket.close()
    server.wait_idle()


def guests(plan, server):
    """All slots at once, each as large as it can get."""
    sockets = hang(server, "/bad?hold", SLOTS)

    def full():
        memory = server.memory()
        return memory if memory["classes"]["linear_memory"] > SLOTS * 14 * MIB else None

    memory = until("all guests hold what they can", full, 60)
    tenant = account(memory["accounts"], "/bad")
    requests = tenant["kinds"].get("request", 0)
    plan.holds(tenant["used_bytes"] + tenant["reserved_bytes"] - requests, "running guests /bad",
               near=0.95)
    plan.holds(sum(memory["classes"][kind] for kind in ("linear_memory", "instance", "stack")),
               "running guests /bad", "running guests /hello", "running guests /sqlite",
               "guest stacks", near=0.5)
    plan.whole(memory)
    status, _, body = server.get("/bad?exit=1")
    equal((status, json.loads(body)["error"]), (429, "busy"), "there is no further slot")
    release(server, sockets)


def stacks(plan, server):
    """All workers deep in guests' stacks; then the stacks wait idle."""
    sockets = hang(server, "/bad?deep", SLOTS)

    def deep():
        got = server.memory()
        tenant = account(got["accounts"], "/bad")
        equal(tenant["kinds"].get("stack", 0) <= SLOTS * MIB, True, "a stack each")
        return got if (tenant["kinds"].get("stack", 0) == SLOTS * MIB and
                       got["classes"]["stack"] > SLOTS * 100 << 10) else None
    memory = until("deep stacks", deep, 60)
    plan.holds(memory["classes"]["stack"], "running guests /bad")
    plan.whole(memory)
    release(server, sockets)
    memory = server.memory()
    idle = memory["accounts"]["kinds"]["stack"]
    tenants = sum(child["kinds"].get("stack", 0) for child in memory["accounts"]["children"])
    plan.holds(idle - tenants, "guest stacks")


def buffers(plan, server):
    """Requests whose guests never read: ring and output buffer of every block."""
    sockets = [server.socket() for _ in range(SLOTS)]
    for socket in sockets:
        socket.sendall(b"POST /bad?hold HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
        socket.sendall(b"x" * 65000)
    memory = until("bodies in flight", lambda: (
        lambda got: got if account(got["accounts"], "/bad")["kinds"].get("request", 0) >
        SLOTS * 160 << 10 else None)(server.memory()), 60)
    used = sum(child["kinds"].get("request", 0) for child in memory["accounts"]["children"])
    plan.holds(used, "requests: bodies and buffers", near=0.6)
    plan.whole(memory)
    release(server, sockets)


def connections(plan, server):
    """All open, each with half a head as long as is taken."""
    sockets = [server.socket() for _ in range(CONNECTIONS - 2)]
    for socket in sockets:
        socket.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000)
    until("they are open", lambda: server.metric(r"^weir_connections_open$") >= CONNECTIONS - 2)
    memory = server.memory()
    charged = account(memory["accounts"], "server")["kinds"]["server"]
    plan.holds(charged, "connections", "reports", "records of slots and engines")
    plan.holds(memory["classes"]["malloc"] + memory["classes"]["server"], "connections",
               "requests: bodies and buffers", "libraries", "records of slots and engines")
    plan.whole(memory)
    release(server, sockets)


def reports(plan, server):
    """As many as are allowed at once, again and again."""
    most = 0

    def ask():
        for _ in range(15):
            status, _, _ = server.get("/metrics")
            equal(status in (200, 429), True, f"/metrics answered {status}")

    threads = [Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        status, _, body = server.get("/v1/memory")
        if status == 200:
            tree = json.loads(body)["accounts"]
            most = max(most, account(tree, "reports")["peak_bytes"])
            equal(account(tree, "reports")["used_bytes"] <= plan.lines["reports"], True)
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    plan.holds(most, "reports")


def modules(plan, server):
    memory = server.memory()
    plan.holds(memory["classes"]["code_mapped"], "module code", near=0.05)
    plan.whole(memory)


def compiling(cold, server):
    """The peak's composition, from the start with nothing compiled."""
    peak = server.memory()["peak"]["composition"]
    cold.holds(peak["compiler"], "compiler children", near=0.5)


def main():
    parse_options()
    with serving(CONFIG) as server:
        folder = server.folder.name
        cache = os.path.join(folder, "cache")
        os.rename(cache, cache + ".away")
        cold = Plan(server, folder)
        os.rename(cache + ".away", cache)
        plan = Plan(server, folder)
        equal(cold.lines["module code"] >= plan.lines["module code"], True,
              "a module's code is never taken for less than it is")
        compiling(cold, server)
        for test in (modules, guests, stacks, buffers, connections, reports):
            print(test.__name__)
            test(plan, server)
        equal(server.stop() in (0, 17), True, "a stop")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
