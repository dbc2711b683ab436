#!/usr/bin/env python3
"""frames - sends frames that a container may not send, and listens for them.

    frames.py send INTERFACE HEX...       each as it is
    frames.py listen INTERFACE SECONDS    prints the source MAC and type of each frame
"""
import select
import socket
import sys
import time

what, interface, words = sys.argv[1], sys.argv[2], sys.argv[3:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((interface, 0))
if what == "send":
    for word in words:
        s.send(bytes.fromhex(word).ljust(60, b"\0"))
else:
    end = time.monotonic() + float(words[0])
    print("ready", flush=True)
    while (left := end - time.monotonic()) > 0:
        if not select.select([s], [], [], left)[0]:
            break
        frame, address = s.recvfrom(2048)
        if address[2] != socket.PACKET_OUTGOING:
            print(frame[6:12].hex(":"), frame[12:14].hex(), flush=True)
