#!/bin/bash
# Destroys everything that this folder made, data included, after the project's id has been typed.
# Usage: terraform/teardown.sh
set -euo pipefail
cd "$(dirname "$0")"

project=$(terraform console <<<'var.project_id' | tr -d '"')
read -r -p "This destroys lake, warehouse and Dagster's history in $project. Type the project's id to go on: " typed
if [[ $typed != "$project" ]]; then
  echo "Nothing was touched." >&2
  exit 1
fi

# Deletion is refused by what is protected until an apply has taken the protection off.
terraform apply -input=false -auto-approve -var protect_data=false
terraform destroy -input=false -auto-approve -var protect_data=false
echo "Left: the bucket of the state, and the images' names in the billing export. Remove the former with:"
echo "  gcloud storage rm --recursive gs://$(sed -n 's/^bucket *= *"\(.*\)"/\1/p' backend.hcl)"
