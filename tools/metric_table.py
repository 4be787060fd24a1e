"""Reads src/observe/metrics.def for scripts and tests: rows by name, the names of their samples."""
import os
import re
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = "src/observe/metrics.def"

# What cAdvisor (kubelet, docker) says about a container, and what it is good for.
CONTAINER = {
    "container_memory_rss":
        "Anonymous memory, transparent huge pages and swap cache: what processes hold and the "
        "kernel cannot drop. It leads to the kill. **Alert on this one** against the limit.",
    "container_memory_working_set_bytes":
        "Usage less inactive file pages. Active file pages are still in it, although the kernel "
        "drops them too: a node that reads its database much seems to stand at its limit for "
        "weeks. Kubernetes evicts by it, so watch it there; it says nothing about leaks.",
    "container_memory_usage_bytes":
        "The charge counter, all page cache included: it reaches the limit on every machine that "
        "reads files, and stays there. The left side of equation (b). Do not alert on it.",
    "container_memory_cache":
        "Page cache, with shared memory (tmpfs, memfd) in it. The latter cannot be dropped.",
    "container_memory_mapped_file":
        "File pages that some process has mapped; part of the cache.",
    "container_memory_swap": "Swapped out. Rising together with major faults: too little memory.",
    "container_memory_failcnt":
        "How often the limit was hit and pages had to be dropped. Normal with page cache.",
    "container_spec_memory_limit_bytes": "The limit; 0 when there is none.",
}


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
