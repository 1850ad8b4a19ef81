#!/bin/sh
# Installs the servers that bench-http.py compares with into a virtual environment (default: target/peers), and says
# what the machine's packages have to bring. uWSGI, nginx and wrk are the distribution's.
set -eu
folder=${1:-target/peers}
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/pip" --quiet install fastwsgi granian gunicorn uvicorn
for tool in wrk nginx uwsgi openssl; do
    command -v $tool >/dev/null || test -x /usr/sbin/$tool ||
        echo "$tool is missing: apt-get install wrk nginx-light uwsgi-core uwsgi-plugin-python3 openssl" >&2
done
