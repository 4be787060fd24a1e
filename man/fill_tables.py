#!/usr/bin/env python3
"""Puts the tables of the source into a man page: @EXIT_CODES@ from include/weir/status.def,
@REFUSALS@ from src/server/refusals.def and @DOCTOR_RULES@ from src/doctor/doctor_rules.def. So a
page cannot tell others than the program.

usage: fill_tables.py SOURCE_DIR PAGE.scd >FILLED.scd
"""
import re
import sys


def read_table(path, macro, count):
    pattern = macro + r"\((\w+)" + r",\s*(\"(?:[^\"\\]|\\.)*\"|\w+)" * count + r"\)"
    with open(path, encoding="utf-8") as file:
        return [[field.strip('"') for field in row] for row in re.findall(pattern, file.read())]


def exit_codes(source):
    rows = read_table(f"{source}/include/weir/status.def", "WEIR_STATUS", 4)
    assert rows, "status.def has no rows"
    return "\n\n".join(f"*{code}*\n\t{name}: {text}"
                       for _, name, text, _, code in sorted(rows, key=lambda row: int(row[4])))


def refusals(source):
    rows = read_table(f"{source}/src/server/refusals.def", "WEIR_REFUSAL", 4)
    assert rows, "refusals.def has no rows"
    by_status = {}
    for _, name, status, _, _ in rows:
        if name != "none":
            by_status.setdefault(int(status), []).append(name.replace("_", "\\_"))
    return "\n\n".join(f"*{status}*\n\t{', '.join(names)}"
                       for status, names in sorted(by_status.items()))


def doctor_rules(source):
    classes = {row[0]: row[2] for row in
               read_table(f"{source}/src/doctor/doctor_classes.def", "WEIR_DOCTOR_CLASS", 3)}
    rows = read_table(f"{source}/src/doctor/doctor_rules.def", "WEIR_DOCTOR_RULE", 6)
    assert classes and rows, "the doctor's tables have no rows"
    words = {"UNKNOWN": "unknown", "GEOMETRY": "geometry", "FLAGS": "flags+geometry",
             "NAMED": "named", "CONFIRMED": "confirmed"}
    return "\n\n".join(f"*{name}*\n\t{classes[kind]} ({words[confidence]}): {text}"
                       for _, name, kind, confidence, _, _, text in rows
                       if kind in classes)  # the comment that explains the table has none


def main():
    source, page = sys.argv[1:]
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for mark, table in (("@EXIT_CODES@", exit_codes), ("@REFUSALS@", refusals),
                        ("@DOCTOR_RULES@", doctor_rules)):
        if mark in text:
            text = text.replace(mark, table(source))
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
