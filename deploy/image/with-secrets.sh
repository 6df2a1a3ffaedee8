#!/bin/sh
# Runs a command with what Dagster's configuration reads from the environment only: secrets are files here.
# The entrypoint and the health check start with it; so must whatever is run by `docker compose exec`.
set -eu

secret=${SECRETS_FOLDER:-/run/secrets}/postgres_password
if [ -r "$secret" ]; then
    DAGSTER_POSTGRES_PASSWORD=$(cat "$secret")
    export DAGSTER_POSTGRES_PASSWORD
fi
exec "$@"
