#!/bin/bash
# Brings the machines to a tag: the first installation, an upgrade and a roll-back alike.
# Usage: deploy/release.sh TAG
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:?the tag that deploy/build.sh pushed}
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

env=$(terraform -chdir=terraform output -json env)
machines=$(terraform -chdir=terraform output -json machines)
# The machine with the brokers goes first: the other one needs them.
for machine in $(jq -r 'keys | reverse[]' <<<"$machines"); do
  name=$(jq -r --arg m "$machine" '.[$m].name' <<<"$machines")
  zone=$(jq -r --arg m "$machine" '.[$m].zone' <<<"$machines")
  {
    jq -j --arg m "$machine" '.[$m]' <<<"$env"
    echo "IMAGE_TAG=$tag"
  } >"$here/env"

  echo "$name: files"
  tar -cz kafka deploy/compose.yaml -C "$here" env |
    gcloud compute ssh "$name" --zone "$zone" --tunnel-through-iap --quiet --command \
      'timeout 600 sh -c "until test -d /opt/streaming-assets; do sleep 5; done" && sudo tar -xz -C /opt/streaming-assets && sudo mv /opt/streaming-assets/env /opt/streaming-assets/deploy/.env'

  echo "$name: images, then the parts, one after another as they get healthy"
  # Questions are held to their words: some versions of Compose end an exec with 0, whatever the command did.
  gcloud compute ssh "$name" --zone "$zone" --tunnel-through-iap --quiet --command "
    set -e
    cd /opt/streaming-assets/deploy
    sudo docker compose pull --quiet
    if sudo docker compose ps --services --status running | grep -qx code; then
      trap 'sudo docker compose start daemon' EXIT # what is there goes on, if its runs do not end
      sudo docker compose stop daemon # no run starts from here on
      sudo docker compose exec -T code /opt/image/with-secrets.sh python /opt/image/drain.py 900 |
        tee /dev/stderr | grep -qx 'No run is in progress'
      trap - EXIT
    fi
    sudo docker compose up --detach --remove-orphans --wait --wait-timeout 600
    if sudo docker compose ps --services --status running | grep -qx webserver; then
      sudo docker compose exec -T webserver python /opt/image/loaded.py |
        tee /dev/stderr | grep -qx 'The graph is loaded'
    fi
    echo \"\$(date --utc --iso-8601=seconds) $tag\" | sudo tee --append /opt/streaming-assets/releases"
done
