#!/bin/bash
# Builds both images and pushes them under a tag that was not used before. Run where Docker is.
# Usage: SINK_SHA256=<checksum, docs/kafka.md> deploy/build.sh TAG
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:?the new tag, such as $(git rev-parse --short HEAD)}
repository=$(terraform -chdir=terraform output -raw image_repository)

docker build --file deploy/Dockerfile --tag "$repository/streaming-assets:$tag" .
docker build --build-arg "SINK_SHA256=${SINK_SHA256:?}" --tag "$repository/connect:$tag" kafka/connect
docker push "$repository/connect:$tag"
docker push "$repository/streaming-assets:$tag"
