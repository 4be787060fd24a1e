#!/usr/bin/env python3
"""Whatever the rules, alerts and dashboard of examples/ name exists: each metric is in the table,
is a standard one that the documentation explains, or is recorded by a rule; each label is one of
the metric's."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.path.append("/usr/lib/python3/dist-packages")  # for a python3 that is not Debian's own
import metric_table  # noqa: E402
import promql_names  # noqa: E402

try:
    import yaml
except ImportError:
    print("skip: python3-yaml is not installed")
    sys.exit(1 if os.environ.get("WEIR_REQUIRE_ALL") == "1" else 77)

TARGET = ["job", "instance"]  # every scraped sample has them


def load(name):
    with open(os.path.join(ROOT, "examples", name), encoding="utf-8") as file:
        return json.load(file) if name.endswith(".json") else yaml.safe_load(file)


def rules_of(name):
    return [rule for group in load(name)["groups"] for rule in group["rules"]]


def known_samples():
    """{name: labels} of what may be named, before rules record more."""
    known = {name: labels + TARGET
             for name, labels in metric_table.samples(metric_table.read(ROOT)[1]).items()}
    known["up"] = TARGET
    for name in metric_table.CONTAINER:
        known[name] = ["name", "container", "pod", "namespace", "id", "instance", "job"]
    return known


def check(test, expression, known, where):
    """All labels that the expression may have in its result."""
    metrics, grouping = promql_names.read(expression)
    test.assertNotEqual(metrics, [], f"{where}: {expression}")
    possible = set()
    for metric, labels in metrics:
        test.assertTrue(metric in known, f"{where}: there is no {metric}")
        possible |= set(known[metric])
        for label in labels:
            test.assertIn(label, known[metric], f"{where}: label of {metric}")
    for label in grouping:
        test.assertIn(label, possible, f"{where}: {expression}")
    return possible


def with_recorded(test):
    known = known_samples()
    for rule in rules_of("prometheus/rules.yml"):
        labels = check(test, rule["expr"], known, rule["record"])
        known[rule["record"]] = sorted(labels | set(rule.get("labels", {})))
    return known


class Reader(unittest.TestCase):
    def test_it_finds_names(self):
        for expression, wanted in (
                ('sum by (a) (rate(x_total{c="}", d!~"e"}[5m] offset 1h)) / on (f) group_left () y',
                 ([("x_total", ["c", "d"]), ("y", [])], ["a", "f"])),
                ('topk(5, a:b) and c > 1e3 unless d', ([("a:b", []), ("c", []), ("d", [])], [])),
                ('histogram_quantile(0.9, sum(rate(h_bucket{le=~".+"}[$__rate_interval])) by (le))',
                 ([("h_bucket", ["le"])], ["le"]))):
            self.assertEqual(promql_names.read(expression), wanted)
        with self.assertRaises(ValueError):
            promql_names.read("a ; b")


class Prometheus(unittest.TestCase):
    def test_recording_rules(self):
        known = with_recorded(self)
        self.assertIn("weir:live_bytes:rise", known)

    def test_alerts(self):
        known = with_recorded(self)
        for alert in rules_of("prometheus/alerts.yml"):
            where = alert["alert"]
            labels = check(self, alert["expr"], known, where)
            texts = " ".join(alert["annotations"].values())
            for label in re.findall(r"\$labels\.(\w+)", texts):
                self.assertIn(label, labels, where)
            # A sentence may name a metric only if there is one.
            for name in re.findall(r"\b(?:weir|process|container)_\w+", texts):
                self.assertTrue(name in known, f"{where}: there is no {name}")
            self.assertIn(alert["labels"]["severity"], ("info", "warning", "critical"))
            self.assertEqual(sorted(alert["annotations"]), ["description", "summary"], where)

    def test_every_alert_has_a_test(self):
        with open(os.path.join(ROOT, "tests", "observe", "alerts_test.yml"),
                  encoding="utf-8") as file:
            tested = {case["alertname"] for test in yaml.safe_load(file)["tests"]
                      for case in test["alert_rule_test"] if case["exp_alerts"]}
        alerts = {alert["alert"] for alert in rules_of("prometheus/alerts.yml")}
        self.assertEqual(alerts - tested, {"WeirMemoryLeak"})  # leak_rates.py, prometheus_live.py


class Grafana(unittest.TestCase):
    board = load("grafana/weir.json")
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]

    def test_it_is_current(self):
        made = subprocess.run([os.path.join(ROOT, "tools", "dashboard"), "--check"],
                              capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)

    def test_fields_that_grafana_needs(self):
        self.assertGreaterEqual(self.board["schemaVersion"], 36)
        for field in ("title", "uid", "time", "templating", "panels", "annotations"):
            self.assertIn(field, self.board)
        variables = {item["name"]: item for item in self.board["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        self.assertEqual(variables["datasource"]["query"], "prometheus")
        numbers = [panel["id"] for panel in self.board["panels"]]
        self.assertEqual(len(set(numbers)), len(numbers))
        for panel in self.panels:
            self.assertIn(panel["type"], ("timeseries", "stat", "state-timeline"))
            self.assertNotEqual(panel["title"], "")
            self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"})
            self.assertNotEqual(panel["targets"], [], panel["title"])
            letters = [target["refId"] for target in panel["targets"]]
            self.assertEqual(letters, sorted(set(letters)), panel["title"])
            self.assertIn("unit", panel["fieldConfig"]["defaults"])

    def test_panels_do_not_overlap(self):
        taken = {}
        for panel in self.board["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, panel["title"])
                    taken[x, y] = panel["title"]

    def test_names(self):
        known = with_recorded(self)
        variables = {item["name"] for item in self.board["templating"]["list"]}
        for panel in self.panels:
            for target in panel["targets"]:
                labels = check(self, target["expr"], known, panel["title"])
                for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                    self.assertIn(label, labels, panel["title"])
                for name in re.findall(r"\$(\w+)", target["expr"]):
                    self.assertIn(name, variables | {"__rate_interval"}, panel["title"])

    def test_variables(self):
        known = known_samples()
        for item in self.board["templating"]["list"]:
            if item["type"] != "query":
                continue
            expression, label = re.fullmatch(r"label_values\((.*), (\w+)\)",
                                             item["query"]).groups()
            self.assertIn(label, check(self, expression, known, item["name"]))

    def test_prometheus_understands_every_query(self):
        """promtool parses them as rules."""
        queries = [target["expr"].replace("$__rate_interval", "5m")
                   for panel in self.panels for target in panel["targets"]]
        rules = [{"record": f"panel:{number}", "expr": query}
                 for number, query in enumerate(queries)]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            json.dump({"groups": [{"name": "panels", "rules": rules}]}, file)
            file.flush()
            try:
                run = subprocess.run(["promtool", "check", "rules", file.name],
                                     capture_output=True, text=True)
            except FileNotFoundError:
                self.skipTest("promtool is not installed (package prometheus)")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_the_questions_are_answered(self):
        """Equations, accounts, refusals, pressure, pools, latency: each has its panel."""
        shown = " ".join(target["expr"] for panel in self.panels for target in panel["targets"])
        for name in ("weir_rss_part_bytes", "weir_cgroup_part_bytes", "weir_account_used_bytes",
                     "weir_refusals_total", "weir_pressure_state",
                     "weir_pressure_transitions_total", "weir_pool_in_use",
                     "weir_request_seconds_bucket"):
            self.assertIn(name, shown)
        stacked = [panel["title"] for panel in self.panels
                   if panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking")]
        self.assertEqual(stacked, ["RSS by owner", "Usage by part", "By kind, whole host"])


if __name__ == "__main__":
    unittest.main()
