#!/usr/bin/env python3
"""GET /v1/census: what is counted is what is there; differences to kept censuses; sizes that are
asked for; wrong questions; all of its memory within what the plan reserves for reports."""
import json

from weir_http import Thread, account, equal, main, until

CONFIG = """
memory_max: 1GiB
cache: {cache}
server: {{ loops: 2, workers: 2, census_interval: 100ms, spool: {spool} }}
routes:
  - {{ path: /hello, module: hello.wasm, warm: 3, limits: {{ memory: 4MiB, concurrency: 6 }} }}
  - {{ path: /misbehave, module: misbehave.wasm, warm: 2,
      limits: {{ memory: 16MiB, time: 600s, concurrency: 4 }} }}
"""
PATTERNS = 14


def census(server, query=""):
    status, headers, body = server.get("/v1/census" + query)
    equal((status, headers["Content-Type"]), (200, "application/json"), query)
    return json.loads(body)


def test_counts_what_lives(server):
    got = census(server)
    for kind, count in (("engine", 1), ("module", 2), ("store", 5), ("instance", 5), ("memory", 5),
                        ("task", 0), ("held", 0)):
        equal(got["totals"][kind]["count"], count, kind)
    groups = {(group["type"], group["name"]): group for group in got["groups"]}
    equal(groups["store", "/hello"]["count"], 3)
    equal(groups["instance", "misbehave.wasm"]["count"], 2)
    equal(groups["memory", "hello.wasm"]["owner"].endswith('of store "/hello"'), True)
    equal(len(got["stores"]), 5)
    for store in got["stores"]:
        equal((store["tenant"], store["pooled"], store["instances"]), (store["name"], True, 1))
        equal(store["private_bytes"] <= store["resident_bytes"] <= store["linear_bytes"], True,
              str(store))
    equal(sum(store["used_bytes"] for store in got["stores"]), got["totals"]["store"]["bytes"])
    equal(groups["store", "/hello"]["oldest_ms"] >= got["baselines_ms"][0] - 1, True, "age")


def test_calls_and_resets_are_told(server):
    server.wait_idle()
    before = census(server)
    for _ in range(7):
        equal(server.get("/hello")[0], 200)
    server.wait_idle()
    after = census(server)
    equal(after["completed_instances"] - before["completed_instances"], 7)
    calls = [sum(store["calls"] for store in got["stores"]) for got in (before, after)]
    equal(calls[1] - calls[0], 7)


def test_the_rest_is_summed_up(server):
    whole, part = census(server), census(server, "?top=2")
    equal((len(part["groups"]), len(part["stores"])), (2, 2))
    rest, sums = part["groups_rest"], whole["groups"][2:]
    equal(rest["groups"], len(sums))
    equal(rest["count"], sum(group["count"] for group in sums))
    equal(rest["bytes"], sum(group["bytes"] for group in sums))
    equal(part["stores_rest"]["stores"], 3)
    equal(part["stores_rest"]["used_bytes"],
          sum(store["used_bytes"] for store in whole["stores"][2:]))
    sizes = [group["bytes"] for group in whole["groups"]]
    equal(sizes, sorted(sizes, reverse=True), "the largest first")


def test_one_type(server):
    got = census(server, "?type=instance&top=100")
    equal({group["type"] for group in got["groups"]}, {"instance"})
    equal("stores" in got, False)
    equal(got["totals"]["store"]["count"], 5, "totals are always whole")


def test_wrong_questions(server):
    for query in ("?nonsense", "?top=0", "?top=101", "?top=-1", "?top=99999", "?top=1x", "?top=",
                  "?type=stores", "?type=", "?diff=", "?diff=yesterday", "?diff=-1m", "?diff",
                  "?diff=1m&&x=1", "?diff=%31m", "?top=5;diff=1m"):
        status, _, body = server.get("/v1/census" + query)
        equal(status, 400, query)
        equal(json.loads(body)["error"], "target", query)
    equal(server.request("POST", "/v1/census", b"")[0], 405)


def test_differences(server):
    until("no census is kept", lambda: len(census(server)["baselines_ms"]) >= 3)
    got = census(server, "?diff=start")
    equal(got["diff"]["since_ms"], got["baselines_ms"][0], "the oldest")
    equal(len(got["diff"]["retention"]), PATTERNS)
    states = {finding["state"] for finding in got["diff"]["retention"]}
    equal(states, {"absent", "not observable"}, "Weir's own pools are not blamed")
    # Slots beyond the warm ones are made for requests that come at once: four sleep on a clock.
    sleepers = [server.socket() for _ in range(4)]
    for sleeper in sleepers:
        sleeper.sendall(b"GET /misbehave?sleep HTTP/1.1\r\nHost: x\r\n\r\n")

    def made():
        changes = census(server, "?diff=start&type=store")["diff"]["changes"]
        return [change for change in changes if change["name"] == "/misbehave"
                and change["count"] == 2 and change["made"] >= 2 and change["bytes"] > 0]

    until("two more stores than at the start", made)
    for sleeper in sleepers:
        sleeper.close()
    server.wait_idle()


def test_an_age_picks_the_baseline(server):
    ages = until("few censuses are kept", lambda: census(server)["baselines_ms"]
                 if len(census(server)["baselines_ms"]) == 8 else None)
    equal(ages, sorted(ages, reverse=True))
    got = census(server, "?diff=0")
    equal(got["diff"]["since_ms"], got["baselines_ms"][-1], "the latest")
    got = census(server, "?diff=1h")
    equal(got["diff"]["since_ms"], got["baselines_ms"][0], "none is so old: the oldest")
    got = census(server, "?diff=300ms")
    equal(got["diff"]["since_ms"] >= 300, True)
    younger = [age for age in got["baselines_ms"] if 300 <= age < got["diff"]["since_ms"]]
    equal(younger, [], "the latest that is old enough")


def test_growth_is_read(server):
    for _ in range(8):
        rounds = census(server)["growth"]["rounds"]
        server.get("/hello")
        until("no further round", lambda: census(server)["growth"]["rounds"] != rounds
              or rounds == 64)
    growth = census(server)["growth"]
    equal(growth["low"] <= growth["bytes_per_instance"] <= growth["high"], True, str(growth))


def test_memory_is_bounded(server):
    """Eight clients at once: refused or answered, within what is reserved."""
    def ask():
        for _ in range(30):
            status, _, body = server.get("/v1/census?diff=start&top=100")
            equal(status in (200, 429), True, f"{status}: {body[:200]}")
            json.loads(body)
    clients = [Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    reports = account(server.memory()["accounts"], "reports")
    equal(reports["refused"], 0)
    held = reports["used_bytes"] + reports["reserved_bytes"]
    equal(0 < reports["peak_bytes"] <= held, True, str(reports))
    kept = census(server)["baselines_ms"]
    equal(len(kept) <= 8, True, str(kept))


def test_nothing_is_kept_of_pages(server):
    """What reports hold when none is made: the kept censuses, whose number is bounded. Each is as
    large as what lived when it was taken, so it may take their round to come back to as much."""
    def used():
        return account(server.memory()["accounts"], "reports")["used_bytes"]
    until("eight censuses", lambda: len(census(server)["baselines_ms"]) == 8)
    before = used()
    for _ in range(200):
        census(server, "?diff=1s")
    until("no more is used than before", lambda: used() <= before)


if __name__ == "__main__":
    main([test_counts_what_lives, test_calls_and_resets_are_told, test_the_rest_is_summed_up,
          test_one_type, test_wrong_questions, test_differences, test_an_age_picks_the_baseline,
          test_growth_is_read, test_memory_is_bounded, test_nothing_is_kept_of_pages], CONFIG)
