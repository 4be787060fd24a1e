"""Which metrics and labels a PromQL expression names: enough of its grammar for that, no more."""
import re

TOKEN = re.compile(r"""
    (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<duration>\d+(?:ms|[smhdwy]))
  | (?P<number>\d[\d.eE+]*)
  | (?P<name>[a-zA-Z_:][\w:]*)
  | (?P<operator>=~|!~|==|!=|<=|>=|[-+*/%^(){}\[\],=<>@])
  | (?P<space>\s+)
""", re.X)
LISTS = ("by", "without", "on", "ignoring", "group_left", "group_right")
KEYWORDS = LISTS + ("and", "or", "unless", "offset", "bool", "start", "end", "inf", "nan")
AGGREGATIONS = ("sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values",
                "bottomk", "topk", "quantile")


def tokens_of(expression):
    expression = re.sub(r"\$\{?__\w+\}?", "5m", expression)  # Grafana's own variables
    tokens, at = [], 0
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"not PromQL from here on: {expression[at:at + 30]!r}")
        if match.lastgroup != "space":
            tokens.append((match.lastgroup, match.group()))
        at = match.end()
    return tokens


def names_inside(tokens, at, close):
    """(names up to the bracket, where it is)."""
    names = []
    while tokens[at][1] != close:
        if tokens[at][0] == "name":
            names.append(tokens[at][1])
        at += 1
    return names, at


def read(expression):
    """([(metric, [labels of its selector])], [labels of by, on and the like])."""
    tokens = tokens_of(expression) + [("end", "")]
    metrics, grouping = [], []
    at = 0
    while tokens[at][0] != "end":
        kind, text = tokens[at]
        following = tokens[at + 1][1]
        at += 1
        if kind != "name":
            continue
        if text in LISTS and following == "(":
            names, at = names_inside(tokens, at, ")")
            grouping += names
        elif text in KEYWORDS or text in AGGREGATIONS or following == "(":
            continue
        elif following == "{":
            labels, at = names_inside(tokens, at, "}")
            metrics.append((text, labels))
        else:
            metrics.append((text, []))
    return metrics, grouping
