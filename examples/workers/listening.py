"""What the workers of this folder share: the sockets that rsgi listens on, and the application to serve.

rsgi binds the sockets once, before it forks; every worker accepts from the same ones. The copies made here are closed
by whoever gets them, the originals stay open in the worker.
"""
import importlib
import os
import socket
import sys

import uwsgi


def sockets():
    """A socket object for each of rsgi's sockets."""
    return [socket.socket(fileno=os.dup(fd)) for fd in uwsgi.sockets]


def application(default):
    """The application that `--pyargv module:name` names."""
    name = sys.argv[1] if len(sys.argv) > 1 else default
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute or "application")
