"""Reads src/observe/metrics.def for scripts and tests: rows by name, the names of their samples."""
import os
import re
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = "src/observe/metrics.def"


@dataclass
class Metric:
    id: str
    name: str  # as in Prometheus text
    type: str  # counter, gauge, histogram, summary, info
    unit: str
    labels: list
    where: str  # HOST, GUARD, BOTH
    help: str

    def samples(self):
        """Names of the samples, each with its labels."""
        if self.type == "histogram":
            return {self.name + "_bucket": self.labels + ["le"], self.name + "_sum": self.labels,
                    self.name + "_count": self.labels}
        if self.type == "summary":
            return {self.name: self.labels + ["quantile"], self.name + "_sum": self.labels,
                    self.name + "_count": self.labels}
        return {self.name: self.labels}

    def family(self):
        """The name of the family in OpenMetrics."""
        suffix = {"counter": "_total", "info": "_info"}.get(self.type, "")
        return self.name[:len(self.name) - len(suffix)]

    def is_on(self, where):
        return self.where in (where, "BOTH")


def text_of(literals):
    """The text of adjacent C string literals."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


def read(root=ROOT):
    """(sections, metrics): a section is (comment, [Metric]); metrics are all of them."""
    with open(os.path.join(root, TABLE), encoding="utf-8") as file:
        text = file.read()
    text = text[text.index("*/") + 2:]
    sections = []
    string = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
    row = re.compile(r'/\*(?P<comment>.*?)\*/|WEIR_METRIC\((\w+),\s*' + string + r',\s*(\w+),\s*'
                     + string + r',\s*' + string + r',\s*(\w+),\s*' + string + r'\)', re.S)
    for match in row.finditer(text):
        if match.group("comment") is not None:
            sections.append((" ".join(match.group("comment").split()), []))
            continue
        groups = match.groups()[1:]
        sections[-1][1].append(Metric(groups[0], text_of(groups[1]), groups[2].lower(),
                                      text_of(groups[3]), text_of(groups[4]).split(), groups[5],
                                      text_of(groups[6])))
    metrics = [metric for _, rows in sections for metric in rows]
    if len(metrics) != len(re.findall(r"^WEIR_METRIC\(", text, re.M)):
        raise ValueError(f"{TABLE}: a row is not of the form")
    return sections, metrics


def samples(metrics):
    """{name of a sample: its labels} over all metrics."""
    return {name: labels for metric in metrics for name, labels in metric.samples().items()}
