#!/bin/sh
# azd runs this before `azd down`, which deletes whole resource groups: by its versions up to mid-2026, every group that
# anything was deployed to, also one that this environment did not make. Where there is such a group, this stops it.
# Terraform deletes what it made and nothing else, so with it there is nothing to stop.
set -eu

project=$(dirname "$0")/../azure.yaml
if grep -q "^  provider: terraform" "$project"; then
    exit 0
fi

group=${DRIFTLOOP_EXISTING_GROUP:-}
workspace=${DRIFTLOOP_EXISTING_WORKSPACE:-}
[ -n "$group$workspace" ] || exit 0

{
    echo "azd down is stopped: it could delete resource groups that this environment did not make:"
    [ -z "$group" ] || echo "  $group"
    [ -z "$workspace" ] || echo "  the group of $workspace"
    echo "Remove what is Driftloop's by its tag, then its parts of the workspace (docs/deploy.md, Remove everything):"
    echo "  az resource list --tag azd-env-name=$AZURE_ENV_NAME --query [].id -o tsv | xargs az resource delete --ids"
} >&2
exit 1
