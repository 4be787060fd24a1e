#!/usr/bin/env python3
"""The table of metrics obeys the rules of both forms, and docs/METRICS.md is made of it."""
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import metric_table  # noqa: E402

SECTIONS, METRICS = metric_table.read(ROOT)


class Table(unittest.TestCase):
    def test_names(self):
        seen = {}
        for metric in METRICS:
            self.assertRegex(metric.name, r"^(weir|process|arb)_[a-z][a-z0-9_]*[a-z0-9]$")
            # Neither a family of OpenMetrics nor a sample may be another's.
            for name in {metric.family(), *metric.samples()}:
                self.assertNotIn(name, seen, f"{metric.name} and {seen.get(name)}")
                seen[name] = metric.name

    def test_types_and_suffixes(self):
        for metric in METRICS:
            self.assertIn(metric.type, ("counter", "gauge", "histogram", "summary", "info"))
            self.assertEqual(metric.type == "counter", metric.name.endswith("_total"), metric.name)
            self.assertEqual(metric.type == "info", metric.name.endswith("_info"), metric.name)
            self.assertIsNone(re.search("_(count|sum|bucket|created)$", metric.name), metric.name)
            self.assertIn(metric.where, ("HOST", "GUARD", "BOTH"))

    def test_units(self):
        for metric in METRICS:
            self.assertIn(metric.unit, ("bytes", "seconds", "ratio", ""), metric.name)
            named = re.search("_(bytes|seconds|ratio)$", metric.family())
            self.assertEqual(metric.unit, named.group(1) if named else "", metric.name)

    def test_labels(self):
        for metric in METRICS:
            self.assertEqual(len(set(metric.labels)), len(metric.labels))
            for label in metric.labels:
                self.assertRegex(label, r"^[a-z][a-z_]*$")
                self.assertNotIn(label, ("le", "quantile", "job", "instance"))

    def test_help(self):
        for metric in METRICS:
            self.assertRegex(metric.help, r"^[A-Z0-9][^\n\\]*\.$", metric.name)


class Uses(unittest.TestCase):
    def test_the_page_is_current(self):
        made = subprocess.run([os.path.join(ROOT, "tools", "metrics_page"), "--check"],
                              capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)

    def test_every_row_is_written_by_something(self):
        words = set()
        for folder, _, names in os.walk(os.path.join(ROOT, "src")):
            for name in names:
                if name.endswith((".c", ".h")):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        words |= set(re.findall(r"WEIR_METRIC_(\w+)", file.read()))
        self.assertEqual([metric.id for metric in METRICS if metric.id not in words], [])


if __name__ == "__main__":
    unittest.main()
