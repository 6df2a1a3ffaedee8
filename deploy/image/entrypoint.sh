#!/bin/sh
# Starts one part of the system by its name; anything else is run as the command that it is.
set -eu

part=${1:?name of a part, or a command}
echo "$part" >"${PART_FILE:-/tmp/part}" # the health check asks what runs here
# code: without the proxy of `dagster code-server`, which outlives the process with the definitions; so when that dies,
# the container does, and is restarted.
case $part in
    code) exec dagster api grpc --host 0.0.0.0 --port 4000 --module-name streaming_assets.definitions ;;
    webserver) exec streaming-assets webserver --host 0.0.0.0 --port 3000 --workspace "$DAGSTER_HOME/workspace.yaml" ;;
    viewer) exec streaming-assets webserver --read-only --host 0.0.0.0 --port 3000 --workspace "$DAGSTER_HOME/workspace.yaml" ;;
    daemon) exec dagster-daemon run --workspace "$DAGSTER_HOME/workspace.yaml" ;;
    dashboards) exec streaming-assets dashboards --host 0.0.0.0 --port 8050 ;;
    *) exec "$@" ;;
esac
