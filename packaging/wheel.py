#!/usr/bin/env python3
"""Builds a wheel of the server: wheel.py FOLDER-OF-BINARIES OUTPUT-FOLDER

The wheel carries bin/rsgi, bin/uwsgiconfig, the plugins that need no library of the system, type stubs, and a module
`uwsgi` that says that there is none outside of the server. One wheel serves every Python that the plugin knows. The
same binaries give the same wheel, byte by byte."""

import base64
import hashlib
import os
import platform
import re
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PLUGINS = {
    "libgraylog2_plugin.so": "graylog2_plugin.so",
    "libhttp_plugin.so": "http_plugin.so",
    "libpython_plugin.so": "python_plugin.so",
    "libpython_abi3.so": "python_abi3.so",
    "libredislog_plugin.so": "redislog_plugin.so",
    "librsyslog_plugin.so": "rsyslog_plugin.so",
    "libsystemd_logger_plugin.so": "systemd_logger_plugin.so",
}
PROGRAMS = ["rsgi", "uwsgiconfig"]


def version():
    with open(os.path.join(ROOT, "Cargo.toml")) as f:
        return re.search(r'^version = "([^"]+)"', f.read(), re.M).group(1)


def needed_glibc(files):
    """The newest version of glibc that one of the files asks for, and the libraries that they ask for."""
    newest, libraries = (2, 17), set()
    for file in files:
        text = subprocess.run(["objdump", "-p", file], check=True, capture_output=True, text=True).stdout
        libraries.update(re.findall(r"NEEDED\s+(\S+)", text))
        newest = max([newest] + [(int(a), int(b)) for a, b in re.findall(r"GLIBC_(\d+)\.(\d+)", text)])
    return newest, libraries


def main():
    binaries, output = sys.argv[1:]
    number = version()
    contents = []
    for name in PROGRAMS:
        contents.append((f"rsgi-{number}.data/scripts/{name}", os.path.join(binaries, name), 0o755))
    for name, installed in PLUGINS.items():
        contents.append((f"rsgi-{number}.data/data/lib/rsgi/plugins/{installed}", os.path.join(binaries, name), 0o644))
    (major, minor), libraries = needed_glibc([source for _, source, _ in contents])
    foreign = sorted(l for l in libraries if not re.match(r"(libc|libm|libgcc_s|libdl|libpthread|librt|ld-linux.*)\.so", l))
    if foreign:
        sys.exit(f"the binaries need {', '.join(foreign)}, which not every system has: build with PCRE2_SYS_STATIC=1")
    stubs = os.path.join(ROOT, "plugins/python/stubs")
    contents.append(("uwsgi.py", os.path.join(stubs, "uwsgi.py"), 0o644))
    for module in ("uwsgi", "uwsgidecorators"):
        contents.append((f"{module}-stubs/__init__.pyi", os.path.join(stubs, f"{module}.pyi"), 0o644))
    info = f"rsgi-{number}.dist-info"
    for license in ("LICENSE-MIT", "LICENSE-APACHE"):
        contents.append((f"{info}/licenses/{license}", os.path.join(ROOT, license), 0o644))
    tag = f"py3-none-manylinux_{major}_{minor}_{platform.machine()}"
    with open(os.path.join(ROOT, "README.md")) as f:
        readme = f.read()
    metadata = (
        f"Metadata-Version: 2.1\nName: rsgi\nVersion: {number}\n"
        "Summary: rsgi (the server): runs WSGI and ASGI applications, reads uWSGI's configurations\n"
        "License: MIT OR Apache-2.0\nRequires-Python: >=3.9\nClassifier: Environment :: Web Environment\n"
        "Classifier: Operating System :: POSIX :: Linux\n"
        "Description-Content-Type: text/markdown\n\n" + readme
    )
    wheel = f"Wheel-Version: 1.0\nGenerator: rsgi\nRoot-Is-Purelib: false\nTag: {tag}\n"
    path = os.path.join(output, f"rsgi-{number}-{tag}.whl")
    record = []
    os.makedirs(output, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name, data, mode=0o644):
            # a fixed date: the same contents make the same file
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}")

        for name, source, mode in contents:
            with open(source, "rb") as f:
                put(name, f.read(), mode)
        put(f"{info}/METADATA", metadata.encode())
        put(f"{info}/WHEEL", wheel.encode())
        lines = "\n".join(record + [f"{info}/RECORD,,"]) + "\n"
        entry = zipfile.ZipInfo(f"{info}/RECORD", (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o100644 << 16
        archive.writestr(entry, lines)
    print(path)


main()
