#!/usr/bin/env python3
"""terminal - a user at a terminal, for tests: terminal.py [--size ROWSxCOLUMNS] STEP... -- COMMAND...

The command runs with a new terminal as its own. Steps are done in order:
  expect:REGEX   waits until what the terminal showed since the last expect matches
  send:TEXT      types it; backslash escapes as in C
  size:RxC       the window changes
  pause:SECONDS  waits
  signal:NAME    to the command itself, as kill does
Then its end is awaited. All that was shown goes to stdout. The last lines, on stderr:
"status N" and "restored" or "not restored" (the terminal's settings were as before).
Fails with 99 where an expected text or the end does not come within 20 seconds.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

args = sys.argv[1:]
size = (24, 80)
if args[0] == "--size":
    size = tuple(int(n) for n in args[1].split("x"))
    args = args[2:]
cut = args.index("--")
steps, command = args[:cut], args[cut + 1:]
LIMIT = 20

master, slave = pty.openpty()


def resize(rows, columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(*size)
before = termios.tcgetattr(slave)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.closerange(3, 256)
    os.execvp(command[0], command)

shown = bytearray()
seen = 0
status = None


def pump(wait):
    global status
    ready, _, _ = select.select([master], [], [], wait)
    if ready:
        try:
            shown.extend(os.read(master, 65536))
        except OSError:
            pass
    elif status is None:
        done, result = os.waitpid(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(result)
    return bool(ready)


def finish(code):
    sys.stdout.buffer.write(shown)
    sys.stdout.flush()
    sys.exit(code)


def fail(text):
    os.kill(child, signal.SIGKILL)
    print(f"terminal: {text}", file=sys.stderr)
    finish(99)


for step in steps:
    verb, _, value = step.partition(":")
    if verb == "expect":
        deadline = time.monotonic() + LIMIT
        wanted = re.compile(value.encode(), re.S)
        while True:
            found = wanted.search(shown, seen)
            if found:
                seen = found.end()
                break
            if time.monotonic() > deadline or (status is not None and not pump(0)):
                fail(f"never came: {value}")
            pump(0.05)
    elif verb == "send":
        os.write(master, codecs.escape_decode(value.encode())[0])
    elif verb == "size":
        resize(*(int(n) for n in value.split("x")))
    elif verb == "pause":
        end = time.monotonic() + float(value)
        while time.monotonic() < end:
            pump(0.02)
    elif verb == "signal":
        os.kill(child, getattr(signal, "SIG" + value))
    else:
        fail(f"no such step: {step}")

deadline = time.monotonic() + LIMIT
while status is None:
    pump(0.02)
    if time.monotonic() > deadline:
        fail("the command does not end")
while pump(0):
    pass
same = termios.tcgetattr(slave) == before
print(f"status {status}\n{'restored' if same else 'not restored'}", file=sys.stderr)
finish(0)
