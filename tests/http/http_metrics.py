#!/usr/bin/env python3
"""GET /metrics of a running host and guard in both forms, read by parsers that are not ours (the
Prometheus client library's, promtool's linter): the pages agree with each other and with the table.
"""
import os
import subprocess
import sys

from weir_http import CONFIG, Options, equal, main, skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.path.append("/usr/lib/python3/dist-packages")  # for a python3 that is not Debian's own
sys.path.append(os.path.join(ROOT, "tests", "guard"))
import metric_table  # noqa: E402
import weir_guard  # noqa: E402

try:
    from prometheus_client.openmetrics import parser as openmetrics
    from prometheus_client import parser as prometheus
except ImportError:
    skip("python3-prometheus-client is not installed")

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
METRICS = {metric.family(): metric for metric in metric_table.read(ROOT)[1]}
# What a label must survive: quotes, backslashes, braces; an account's name is cut at 63 bytes, but
# between characters.
ODD_ROUTES = ['/q"b\\n{x="1"},', "/" + "\u20ac" * 40]
ODD = "".join(f"""  - {{{{ path: '{path.replace("{", "{{").replace("}", "}}")}', module: hello.wasm,
      limits: {{{{ memory: 4MiB, time: 60s }}}} }}}}
""" for path in ODD_ROUTES)


def fetch(server, accept):
    status, headers, body = server.request("GET", "/metrics", None, {"Accept": accept})
    equal(status, 200)
    return headers["Content-Type"], body.decode("utf-8", errors="strict")


def families(server, form):
    if form == OPENMETRICS:
        kind, text = fetch(server, "application/openmetrics-text")
        return kind, list(openmetrics.text_string_to_metric_families(text))
    kind, text = fetch(server, "text/plain")
    return kind, list(prometheus.text_string_to_metric_families(text))


def use_every_route(server):
    for path in ("/hello", "/echo", "/fuel?loop", "/misbehave?trap", "/nowhere"):
        server.get(path)


def test_the_form_follows_accept(server):
    for accept, wanted in (("*/*", TEXT), ("application/openmetrics-text", OPENMETRICS),
                           ("application/openmetrics-text;q=0.1,text/plain", TEXT)):
        kind, text = fetch(server, accept)
        equal(kind, wanted, accept)
        equal(text.endswith("# EOF\n"), wanted == OPENMETRICS, accept)
    equal(server.get("/metrics")[1]["Content-Type"], TEXT, "no Accept")


def check_openmetrics(server, where):
    """The strict parser: names, types, units, buckets, order, the end mark."""
    kind, found = families(server, OPENMETRICS)
    equal(kind, OPENMETRICS)
    for family in found:
        metric = METRICS[family.name]
        equal((family.type, family.unit, family.documentation),
              (metric.type, metric.unit, metric.help), family.name)
        for sample in family.samples:
            labels = metric.samples()[sample.name]
            equal(sorted(sample.labels), sorted(labels), sample.name)
    wanted = sorted(name for name, metric in METRICS.items() if metric.is_on(where))
    equal(sorted(family.name for family in found), wanted, where)


def check_forms(server):
    """Both have the same samples, each once."""
    names = []
    for form in (TEXT, OPENMETRICS):
        _, found = families(server, form)
        names.append(sorted((sample.name, tuple(sorted(sample.labels.items())))
                            for family in found for sample in family.samples))
    equal(names[0], names[1])
    equal(len(set(names[0])), len(names[0]), "every sample once")


def check_lint(server):
    _, text = fetch(server, "text/plain")
    try:
        lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                              text=True)
    except FileNotFoundError:
        print("skip: promtool is not installed (package prometheus)")
        return
    equal((lint.returncode, lint.stdout + lint.stderr), (0, ""), "promtool check metrics")


def test_the_hosts_page(server):
    use_every_route(server)
    check_openmetrics(server, "HOST")
    check_forms(server)
    check_lint(server)


def test_a_guards_page(_):
    weir_guard.Options.program = Options.program
    with weir_guard.injected("--mem-free-limit", "100MiB", "--on-pause", "true") as (guard, _):
        guard.get("/admit")
        guard.until_state("normal")
        check_openmetrics(guard, "GUARD")
        check_forms(guard)
        check_lint(guard)


def test_figures_arrive(server):
    server.get("/hello")
    server.wait_idle()  # or it is counted between one line and the next
    _, found = families(server, OPENMETRICS)
    values = {(sample.name, sample.labels.get("route")): sample.value
              for family in found for sample in family.samples
              if sample.labels.get("status", "2xx") == "2xx"
              and sample.labels.get("le", "+Inf") == "+Inf"}
    count = values["weir_requests_total", "/hello"]
    equal(count >= 1, True)
    equal(values["weir_request_seconds_bucket", "/hello"], count)
    equal(values["weir_request_seconds_count", "/hello"], count)
    equal(values["weir_pool_takes_total", "/hello"] >= count, True)
    equal(0 < values["weir_page_seconds", None] < 60, True)
    parts = sum(sample.value for family in found if family.name == "weir_rss_part_bytes"
                for sample in family.samples)
    equal(parts, values["weir_rss_bytes", None], "equation (a)")


def test_no_restart_is_seen_where_there_was_none(server):
    """Rules tell restarts by the start time: to the last digit the same on every page."""
    starts = {line for _ in range(5) for line in fetch(server, "text/plain")[1].splitlines()
              if line.startswith("process_start_time_seconds ")}
    equal(len(starts), 1, starts)


def test_odd_names_come_back(server):
    for form in (TEXT, OPENMETRICS):
        samples = [sample for family in families(server, form)[1] for sample in family.samples]
        routes = {sample.labels["route"] for sample in samples
                  if sample.name == "weir_pool_warm"}
        equal(routes >= set(ODD_ROUTES), True, routes)
        accounts = [sample.labels["account"] for sample in samples
                    if sample.name == "weir_account_used_bytes"]
        cut = "host//" + "\u20ac" * 20
        equal([name for name in accounts if "\u20ac" in name], [cut])


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")],
         CONFIG + ODD)
