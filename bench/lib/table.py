"""Lines as a table of 80 columns: what, target, measured, and the peers below."""
import textwrap

COLUMNS = 80


def number(value):
    if value >= 1e5:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(line):
    if "lowest" not in line:
        return ""
    return f"{number(line['lowest'])}..{number(line['highest'])}"


def rows(lines):
    yield f"{'':36}{'target':>13}{'measured':>12}  {'spread':13}met"
    for line in lines:
        sign = ">=" if line["is_minimum"] else "<="
        target = "" if line["limit"] is None else \
            f"{sign} {number(line['limit'])} {line['unit']}"
        measured = f"{number(line['measured'])} {line['unit']}"
        met = {None: "", True: "yes", False: "NO"}[line["is_met"]]
        yield f"{line['what'][:36]:36}{target:>13}{measured:>12}  {spread(line):13}{met}"
        said = [f"{name} {number(value)}" for name, value in line.get("peers", {}).items()]
        if "note" in line:
            said.append(line["note"])
        yield from textwrap.wrap(", ".join(said), COLUMNS, initial_indent="    ",
                                 subsequent_indent="    ")


def show(name, result):
    print(f"{name}  ({result['date']}, {(result['commit'] or 'no commit')[:10]}"
          f"{' and changes' if result['is_dirty'] else ''})")
    for row in rows(result["lines"]):
        print(row)
    for peer, reason in sorted(result.get("skipped", {}).items()):
        print(f"    without {peer}: {reason}")
    print()
