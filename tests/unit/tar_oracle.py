#!/usr/bin/env python3
"""tar_oracle - the project's tar reader and writer against GNU tar and Python's tarfile.

    tar_oracle.py TEST_TAR      the path of the test_tar program

Archives are made by GNU tar and by tarfile in all their formats; `test_tar --list` must
see in them what tarfile sees, and what `test_tar --copy` writes must read the same to
tarfile, to GNU tar and to `test_tar --list`.
"""
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile

TYPES = {tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.CONTTYPE: "f", tarfile.GNUTYPE_SPARSE: "f",
         tarfile.LNKTYPE: "l", tarfile.SYMTYPE: "s", tarfile.DIRTYPE: "d", tarfile.CHRTYPE: "c",
         tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p"}
program = sys.argv[1]


def quoted(text):
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(c) if 32 < c < 127 and c != 92 else f"\\{c:03o}" for c in raw)


def as_tarfile_sees(archive):
    lines = []
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
        for entry in tar:
            name = entry.name + ("/" if entry.isdir() else "")
            device = entry.type in (tarfile.CHRTYPE, tarfile.BLKTYPE)
            digest = hashlib.sha256(tar.extractfile(entry).read()).hexdigest() if entry.isreg() else "-"
            link = entry.linkname if entry.islnk() or entry.issym() else ""
            stamp = entry.pax_headers.get("mtime", str(int(entry.mtime)))
            seconds, _, fraction = stamp.partition(".")
            xattrs = "".join(f" {key[13:]}={quoted(value)}" for key, value in entry.pax_headers.items()
                             if key.startswith("SCHILY.xattr."))
            lines.append(f"{TYPES[entry.type]} {quoted(name)} {quoted(link)} {entry.mode & 0o7777:o} {entry.uid} "
                         f"{entry.gid} {seconds}.{fraction[:9]:0<9} {entry.devmajor if device else 0},"
                         f"{entry.devminor if device else 0} {digest}{xattrs}")
    return lines


def run(option, archive):
    return subprocess.run([program, option], input=archive, stdout=subprocess.PIPE, check=True).stdout


def as_we_see(archive):
    lines = []
    for line in run("--list", archive).decode().splitlines():
        fields = line.split(" ")
        # tarfile takes the slash from folders' names and gives none to "./".
        if fields[0] == "d":
            fields[1] = fields[1].rstrip("/") + "/"
        lines.append(" ".join(fields))
    return lines


def check(what, archive):
    theirs, ours = as_tarfile_sees(archive), as_we_see(archive)
    copy = run("--copy", archive)
    for title, a, b in (("read", theirs, ours), ("copied", ours, as_we_see(copy)), ("copy", ours, as_tarfile_sees(copy))):
        if a != b:
            for one, other in zip(a + [""] * len(b), b + [""] * len(a)):
                if one != other:
                    print(f"{what}: {title}:\n- {one}\n+ {other}")
                    break
            sys.exit(1)
    listed = [subprocess.run(["tar", "--list", "--file=-", "--numeric-owner", "--verbose", "--full-time"],
                             input=data, stdout=subprocess.PIPE, check=True).stdout for data in (archive, copy)]
    # (It shows contiguous files, which tarfile makes, as a type of their own.)
    if listed[0].replace(b"C-", b"--") != listed[1]:
        print(f"{what}: GNU tar sees another archive in the copy")
        sys.exit(1)
    print(f"{what}: {len(ours)} entries")


def make_tree(top):
    os.umask(0o022)
    for folder in ("sub", "sub/" + "d" * 90, "sub/" + "d" * 90 + "/" + "e" * 120):
        os.mkdir(f"{top}/{folder}")
    deep = "sub/" + "d" * 90 + "/" + "e" * 120
    for name, data in (("empty", b""), ("small", b"x" * 10), ("block", b"y" * 512), ("big", os.urandom(700001)),
                       (deep + "/" + "f" * 150, b"deep"), ("gr\u00fc\u00df", b"utf-8"), ("with space", b"z")):
        with open(f"{top}/{name}", "wb") as file:
            file.write(data)
    os.symlink("small", f"{top}/link")
    os.symlink("../" * 60 + "x" * 100, f"{top}/long link")
    os.link(f"{top}/small", f"{top}/sub/hard")
    os.mkfifo(f"{top}/fifo", 0o600)
    os.chmod(f"{top}/big", 0o4711)
    os.utime(f"{top}/small", ns=(0, 1234567890123456789))
    with open(f"{top}/sparse", "wb") as file:
        for at in range(0, 40):
            file.seek(at * 300000)
            file.write(b"data %d" % at)
        file.truncate(20000000)
    with open(f"{top}/hole", "wb") as file:
        file.truncate(3000000)
    try:
        os.setxattr(f"{top}/small", "user.test", b"a\nb=c")
    except OSError:
        print("no extended attributes here")


def archives_of_gnu_tar(top):
    formats = [["--format=" + name] for name in ("gnu", "oldgnu", "posix")]
    formats += [["--format=gnu", "--sparse"], ["--format=oldgnu", "--sparse"]]
    formats += [["--format=posix", "--sparse", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0")]
    formats += [["--format=posix", "--xattrs", "--pax-option=delete=atime,delete=ctime"]]
    formats += [["--format=ustar", "--exclude=long link", "--exclude=" + "e" * 120],
                ["--format=v7", "--exclude=long link", "--exclude=fifo", "--exclude=" + "d" * 90]]
    for options in formats:
        yield "tar " + " ".join(options)[:60], subprocess.run(
            ["tar", "--create", "--file=-", "--sort=name", "--numeric-owner", f"--directory={top}"] + options + ["."],
            stdout=subprocess.PIPE, check=True).stdout


def archives_of_tarfile():
    for title, kind in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
            for entry_type in TYPES:
                if entry_type == tarfile.GNUTYPE_SPARSE:
                    continue
                entry = tarfile.TarInfo(f"type{ord(entry_type)}")
                entry.type, entry.mode, entry.uid, entry.gid, entry.mtime = entry_type, 0o1234, 65534, 12, 1 << 30
                if entry_type in (tarfile.LNKTYPE, tarfile.SYMTYPE):
                    entry.linkname = "somewhere/else"
                if entry_type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
                    entry.devmajor, entry.devminor = 250, 70000
                tar.addfile(entry)
            if kind != tarfile.USTAR_FORMAT:
                entry = tarfile.TarInfo("n" * 300 + "/" + "m" * 250)
                entry.uid, entry.gid, entry.mtime, entry.size = 3000000, 4294967294, -77, 5
                tar.addfile(entry, io.BytesIO(b"12345"))
            if kind == tarfile.PAX_FORMAT:
                entry = tarfile.TarInfo("pax")
                entry.pax_headers = {"mtime": "1.25", "SCHILY.xattr.user.k": "v", "comment": "c"}
                entry.mtime = 1.25
                tar.addfile(entry)
        yield f"tarfile {title}", out.getvalue()


with tempfile.TemporaryDirectory() as folder:
    make_tree(folder)
    for what, archive in archives_of_gnu_tar(folder):
        check(what, archive)
for what, archive in archives_of_tarfile():
    check(what, archive)
