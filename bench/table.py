#!/usr/bin/env python3
"""table.py - the results of bench/run as a table.

Reads lines of SECTION, NAME, MEDIAN, MINIMUM, P90, CPU, FAILURES (tabs; microseconds, or kB
for memory). Each row is compared with brig's row of the same section and network.
"""
import sys

markdown = "--markdown" in sys.argv
rows = [line.rstrip("\n").split("\t") for line in sys.stdin]
# A section's rows together, in the order in which the sections began.
order = list(dict.fromkeys(row[0] for row in rows))
rows.sort(key=lambda row: order.index(row[0]))


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
    ratio = f"{float(row[2]) / base:.2f}" if base and unit == "ms" and not row[1].startswith("brig") else ""
    failed = f"{row[6]} failed" if row[6] not in ("0", "") else ""
    lines.append([("" if markdown else "  ") + row[1]] + [number(text, unit) for text in row[2:6]] + [ratio, failed])
widths = [max(len(line[i]) for line in lines) for i in range(7)]
for place, line in enumerate(lines):
    cells = [line[0].ljust(widths[0])] + [text.rjust(widths[i]) for i, text in enumerate(line[1:], 1)]
    print("| " + " | ".join(cells[:6 + bool(widths[6])]) + " |" if markdown else "  ".join(cells).rstrip())
    if place == 0 and markdown:
        print("|---|" + "--:|" * (5 + bool(widths[6])))


def value(section, name, column=2):
    for row in rows:
        if row[0] == section and row[1] == name and row[column] not in ("-", ""):
            return float(row[column])
    return None


def target(what, measured, limit, unit="", most=True):
    if measured is None:
        return
    good = measured <= limit if most else measured >= limit
    targets.append(f"{'met   ' if good else 'MISSED'}  {what}: {measured:.2f}{unit} ({'at most' if most else 'at least'} {limit}{unit})")


def ratio(a, b):
    return a / b if a and b else None


targets = []
for net in ("bridge", "none"):
    one = value("run", f"brig, {net}")
    target(f"run, {net}: brig / floor with a ready namespace, re-executed", ratio(
        one, value("run", f"floor, {net}, ready, held, re-executed")), 1.3)
    for peer in ("docker", "podman"):
        target(f"run, {net}: {peer} / brig", ratio(value("run", f"{peer}, {net}"), one), 60, most=False)
    target(f"run, {net}: crun's bare bundle / brig", ratio(value("run", "crun run, bare bundle"), one), 2.5, most=False)
    rows_of = [row for row in rows if row[0].startswith("row of") and row[1] == f"brig, {net}"]
    if rows_of:
        target(f"{rows_of[0][0]}, {net} / the single run", ratio(float(rows_of[0][2]), one), 1.5)
for row in rows:
    if row[0] == "ps, no container" and row[1] == "brig":
        target("ps, no container", float(row[2]) / 1000, 0.8, " ms")
    if row[0] == "ps" and row[1].startswith("brig"):
        target(f"ps, {row[1][6:]}", float(row[2]) / 1000, 1.5, " ms")
    if row[0] == "100 at once" and row[1].startswith("brig"):
        target(f"100 at once, {row[1][6:]}: a second", 1000000 / float(row[2]), 150, "", False)
        target(f"100 at once, {row[1][6:]}: lost", float(row[6]), 0)
    if row[0] == "exec" and row[1] == "brig":
        target("exec", float(row[2]) / 1000, 3.0, " ms")
    if row[0] == "memory" and row[1] == "brig, one container":
        target("memory of one container's monitor", float(row[2]), 100, " kB")
    if row[0] == "memory" and row[1] == "brig, 200 containers":
        target("memory of 200 monitors", float(row[2]) / 1000, 15, " MB")
    if row[0].startswith("chain") and row[1].endswith("the last 25"):
        what = row[1].split(",")[0]
        target(f"{row[0]}: the last {what} / the first", ratio(
            float(row[2]), value(row[0], f"{what}, the first 25")), 1.2 if what == "run" else 1.5)
    if row[0] == "pull" and row[1] == "brig":
        target("pull, wall", float(row[2]) / 1e6, 0.9, " s")
        target("pull, CPU", float(row[5]) / 1e6, 1.3, " s")
        for peer in ("docker", "podman"):
            target(f"pull, CPU: {peer} / brig", ratio(value("pull", peer, 5), float(row[5])), 5, most=False)
sizes = [int(row[0].split()[1]) for row in rows if row[0].startswith("commit,") and row[1] == "brig"]
for what in ("create", "commit", "remove"):
    if len(sizes) > 1:
        target(f"{what}: {max(sizes)} files / {min(sizes)}", ratio(
            value(f"{what}, {max(sizes)} files", "brig"), value(f"{what}, {min(sizes)} files", "brig")), 1.5)
if targets:
    print()
    print("\n".join(targets))
