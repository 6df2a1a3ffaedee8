#!/bin/sh
# Is the part that runs in this container able to do its work? Exit code 0 if so.
set -eu

answers() {
    exec python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=8)' "$1"
}

case $(cat "${PART_FILE:-/tmp/part}") in
    code) exec python /opt/image/lists_repositories.py ;;
    webserver) answers http://127.0.0.1:3000/server_info ;;
    viewer) answers http://127.0.0.1:3000/server_info ;;
    daemon) exec dagster-daemon liveness-check ;;
    dashboards) answers http://127.0.0.1:8050/healthz ;;
    *) exit 0 ;; # a command that ends when it fails
esac
