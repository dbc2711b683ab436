#!/usr/bin/env python3
"""count.py - counts what a suite did, and shows what failed.

    count.py meson testlog.json     cmocka's own lines within each program's output
    count.py tap FILE NAME          TAP: one bats file's, or a cmocka program's

The report goes to stderr; file descriptor 3 gets "PASSED FAILED SKIPPED". A program that
crashed, or a plan that was not kept, is a failure of its own.
"""
import json
import os
import re
import sys


def show(title, text, lines=80):
    print(f"FAILED: {title}", file=sys.stderr)
    rows = text.splitlines()
    for line in rows[:10] + rows[10:][-lines:]:
        print(f"    {line}", file=sys.stderr)


def meson(path):
    passed = failed = skipped = 0
    with open(path) as log:
        for line in log:
            row = json.loads(line)
            text = (row.get("stdout") or "") + (row.get("stderr") or "")
            good = len(re.findall(r"^\[       OK \] ", text, re.M))
            none = len(re.findall(r"^\[  SKIPPED \] (?!\d+ test)", text, re.M))
            bad = len(set(re.findall(r"^\[  FAILED  \] (?!\d+ test)(?:.*: )?(\S+)", text, re.M)))
            if row["result"] == "SKIP":
                none = max(none, 1)
            elif row["result"] != "OK":
                bad = max(bad, 1)
                # First what failed and why: the rest is long, and who shows it may cut it.
                why = re.findall(r"^(?:\[ +(?:ERROR|LINE) +\]|SUMMARY:|\[  FAILED  \] \D).*", text, re.M)
                show(f'{row["name"]} ({row["result"]}, {row["duration"]:.1f} s)', "\n".join(why + ["--", text]), 60)
            elif good + none == 0:
                good = 1  # a program that is one test by itself
            passed, failed, skipped = passed + good, failed + bad, skipped + none
    return passed, failed, skipped


def tap(path, name):
    passed = failed = skipped = 0
    plan = status = None
    failing = None
    text = open(path, errors="replace").read()
    for line in text.splitlines():
        if match := re.match(r"1\.\.(\d+)", line):
            plan = int(match[1])
        elif match := re.match(r"# status (\d+)$", line):
            status = int(match[1])
        elif match := re.match(r"(?:not )?ok (\d+) # SKIP (.*)", line):  # cmocka's
            failing = None
            skipped += 1
            print(f"skipped: {name}: {match[1]} {match[2]}", file=sys.stderr)
        elif line.startswith("ok "):
            failing = None
            if re.search(r"# skip\b", line):
                skipped += 1
                print(f"skipped: {name}: {line[3:]}", file=sys.stderr)
            else:
                passed += 1
        elif line.startswith("not ok "):
            failing = True
            failed += 1
            print(f"FAILED: {name}: {line[7:]}", file=sys.stderr)
        elif failing:
            print(f"    {line}", file=sys.stderr)
    ran = passed + failed + skipped
    if plan is None or ran < plan:
        failed += 1
        show(f"{name}: ended with {status} after {ran} of {plan} tests", text, 40)
    elif status and not failed:
        failed += 1
        show(f"{name}: ended with {status}, though no test failed", text, 40)
    return passed, failed, skipped


def main():
    kind, path = sys.argv[1:3]
    numbers = meson(path) if kind == "meson" else tap(path, sys.argv[3])
    os.write(3, ("%d %d %d\n" % numbers).encode())


main()
