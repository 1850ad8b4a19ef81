"""Runs a uwsgiplugin.py that the user trusts, as the builds know it that it was written for.

trusted.py values FOLDER SCRIPT: prints what it sets, \\1KEY\\2VALUE each, and the line of its post_build.
trusted.py post_build FOLDER SCRIPT PLUGIN_DIR CFLAGS: calls post_build where the user has called the build."""

import configparser
import os
import shlex
import subprocess
import sys
import types


def spcall(command):
    try:
        return subprocess.run(command, shell=True, check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    except subprocess.CalledProcessError:
        return None


class Config:
    """What post_build is called with: a profile's keys, and the flags that all plugins are built with."""

    def __init__(self, plugin_dir, cflags):
        self.filename = "default.ini"
        self.config = configparser.ConfigParser(interpolation=None)
        self.config.read_dict({"uwsgi": {"plugin_dir": plugin_dir, "plugin_build_dir": plugin_dir, "bin_name": "rsgi"}})
        self.cflags = shlex.split(cflags)
        self.ldflags = os.environ.get("LDFLAGS", "").split()
        self.libs = []
        self.gcc_list = []
        self.include_path = []

    def get(self, key, default=None):
        value = self.config.get("uwsgi", key, fallback=None)
        return default if value in (None, "", "false") else value

    def set(self, key, value):
        self.config.set("uwsgi", key, value)

    def get_gcll(self):
        return self.gcc_list, self.cflags, self.ldflags, self.libs


def names_of(folder, script):
    sys.modules["uwsgiconfig"] = types.ModuleType("uwsgiconfig")
    sys.modules["uwsgiconfig"].spcall = spcall
    sys.path.insert(0, folder)
    place = os.getcwd()
    os.chdir(folder)
    names = {"__file__": script, "__name__": "uwsgiplugin"}
    with open(script) as source:
        exec(compile(source.read(), script, "exec"), names)
    os.chdir(place)
    return names


def values(folder, script):
    names = names_of(folder, script)
    for key in ("NAME", "CFLAGS", "LDFLAGS", "LIBS", "GCC_LIST", "REQUIRES", "BINARY_LIST"):
        value = names.get(key)
        if value is None:
            continue
        value = [value] if isinstance(value, str) else list(value)
        for item in sum(([x] if isinstance(x, str) or x is None else list(x) for x in value), []):
            if item is not None:
                print("\x01%s\x02%s" % (key, item))
    function = names.get("post_build")
    if function:
        print("\x01post_build\x02%d" % getattr(getattr(function, "__code__", None), "co_firstlineno", 1))


def post_build(folder, script, *config):
    function = names_of(folder, script).get("post_build")
    if function:
        function(Config(*config))


if __name__ == "__main__":
    {"values": values, "post_build": post_build}[sys.argv[1]](*sys.argv[2:])
