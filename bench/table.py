#!/usr/bin/env python3
"""table.py - the results of bench/run as a table.

Reads lines of SECTION, NAME, MEDIAN, MINIMUM, P90, CPU, FAILURES (tabs; microseconds, or kB
for memory). Each row is compared with brig's row of the same section and network.
"""
import sys

markdown = "--markdown" in sys.argv
rows = [line.rstrip("\n").split("\t") for line in sys.stdin]


def number(text, unit):
    if text in ("-", ""):
        return ""
    value = float(text)
    if unit == "kB":
        return f"{value:,.0f} kB"
    value /= 1000
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def network(name):
    return "none" if ", none" in name else "bridge"


brig = {(row[0], network(row[1])): float(row[2]) for row in rows if row[1].split(",")[0] == "brig"}
lines = [["what", "median ms", "minimum", "90 %", "CPU ms", "/ brig", ""]]
section = None
for row in rows:
    if row[0] != section:
        section = row[0]
        lines.append([f"**{section}**" if markdown else section.upper()] + [""] * 6)
    unit = "kB" if section == "memory" else "ms"
    base = brig.get((section, network(row[1])))
    ratio = f"{float(row[2]) / base:.2f}" if base and not row[1].startswith("brig") else ""
    failed = f"{row[6]} failed" if row[6] not in ("0", "") else ""
    lines.append([("" if markdown else "  ") + row[1]] + [number(text, unit) for text in row[2:6]] + [ratio, failed])
widths = [max(len(line[i]) for line in lines) for i in range(7)]
for place, line in enumerate(lines):
    cells = [line[0].ljust(widths[0])] + [text.rjust(widths[i]) for i, text in enumerate(line[1:], 1)]
    print("| " + " | ".join(cells[:6 + bool(widths[6])]) + " |" if markdown else "  ".join(cells).rstrip())
    if place == 0 and markdown:
        print("|---|" + "--:|" * (5 + bool(widths[6])))
