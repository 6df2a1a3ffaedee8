#!/bin/sh
# Starts one part of the system by its name; anything else is run as the command that it is.
set -eu

# Secrets are files; Dagster's configuration reads its password from the environment only.
if [ -r /run/secrets/postgres_password ]; then
    DAGSTER_POSTGRES_PASSWORD=$(cat /run/secrets/postgres_password)
    export DAGSTER_POSTGRES_PASSWORD
fi

part=${1:?name of a part, or a command}
echo "$part" >/tmp/part # the health check asks what runs here
case $part in
    code) exec dagster code-server start --host 0.0.0.0 --port 4000 --module-name streaming_assets.definitions ;;
    webserver) exec dagster-webserver --host 0.0.0.0 --port 3000 --workspace "$DAGSTER_HOME/workspace.yaml" ;;
    daemon) exec dagster-daemon run --workspace "$DAGSTER_HOME/workspace.yaml" ;;
    dashboards) exec streaming-assets dashboards --host 0.0.0.0 --port 8050 ;;
    *) exec "$@" ;;
esac
