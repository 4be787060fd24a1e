"""Figures: median with spread, ratios, and lines that stand against a target."""
import math
import statistics


def figure(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def merge(figures):
    """One figure of several rounds: the median of their medians, the whole spread."""
    return {"median": statistics.median(one["median"] for one in figures),
            "lowest": min(one["lowest"] for one in figures),
            "highest": max(one["highest"] for one in figures)}


def is_figure(value):
    return isinstance(value, dict) and "median" in value


def merge_objects(objects):
    """As merge(), for every figure of equal objects; anything else is the last round's."""
    merged = dict(objects[-1])
    for name, value in merged.items():
        if is_figure(value):
            merged[name] = merge([one[name] for one in objects])
    return merged


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(value) for value in values))


def rounded(value):
    """Numbers as they are kept: four digits that mean something."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return value


def line(what, limit, unit, measured, *, at_least=False, peers=None, note=None):
    """A target of the design against what was measured: a number or a figure. A target is met by
    the median; a limit of None is none, the figure is only shown."""
    spread = measured if is_figure(measured) else None
    value = measured["median"] if spread else measured
    made = {"what": what, "limit": limit, "unit": unit, "is_minimum": at_least, "measured": value,
            "is_met": None if limit is None else value >= limit if at_least else value <= limit}
    if spread:
        made["lowest"], made["highest"] = spread["lowest"], spread["highest"]
    if peers:
        made["peers"] = {name: one["median"] if is_figure(one) else one
                         for name, one in peers.items() if one is not None}
    if note:
        made["note"] = note
    return made
