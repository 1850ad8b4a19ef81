#!/usr/bin/env python3
"""uwsgiconfig.py, as builds of plugins for uWSGI know it: hands its arguments to rsgi's uwsgiconfig.

    python3 uwsgiconfig.py --plugin foobar.c

Printed by: rsgi --config-py"""

import os
import shutil
import subprocess
import sys

PROGRAM = "@PROGRAM@"


def program():
    """$UWSGICONFIG, the one beside the server that wrote this file, the first on the PATH."""
    for place in (os.environ.get("UWSGICONFIG"), PROGRAM, shutil.which("uwsgiconfig")):
        if place and os.access(place, os.X_OK):
            return place
    sys.exit("uwsgiconfig is not installed: install rsgi-dev, or name it in the variable UWSGICONFIG")


def spcall(command):
    """What a command prints, or None: for uwsgiplugin.py files that import it."""
    try:
        return subprocess.check_output(command, shell=True).decode().strip()
    except subprocess.CalledProcessError:
        return None


if __name__ == "__main__":
    own = program()
    os.execv(own, [own] + sys.argv[1:])
