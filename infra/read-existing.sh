#!/bin/sh
# Reads what exists already, so that the templates need not assume it, and keeps it with `azd env set`:
# of the workspace that DRIFTLOOP_EXISTING_WORKSPACE names, its region, storage account and container registry;
# of the containers of other storage accounts in DRIFTLOOP_LANDINGS, their accounts' regions; of all of these accounts
# and of the workspace, the one system topic that Azure allows. It changes nothing on Azure.
set -eu

stop() {
    echo "$1" >&2
    exit 1
}

keep() { # keep NAME VALUE: an empty value is kept too, so that nothing old stays
    azd env set "$1" "${2:-}"
}

topic_of() { # the system topic of another owner than this environment on a source; it must be able to deliver by identity
    found=$(az resource list --resource-type Microsoft.EventGrid/systemTopics --query "[].id" -o tsv)
    for topic in $found; do
        source=$(az resource show --ids "$topic" --query properties.source -o tsv)
        owner=$(az resource show --ids "$topic" --query "tags.\"azd-env-name\"" -o tsv)
        if [ "$(lower "$source")" = "$(lower "$1")" ] && [ "$owner" != "$AZURE_ENV_NAME" ]; then
            identity=$(az resource show --ids "$topic" --query identity.principalId -o tsv)
            [ -n "$identity" ] || stop "The system topic $topic has no system-assigned identity, so it cannot deliver to our queue. Run: az eventgrid system-topic update --ids $topic --identity systemassigned"
            echo "$topic"
            return
        fi
    done
}

lower() {
    echo "$1" | tr '[:upper:]' '[:lower:]'
}

if [ "${DRIFTLOOP_NETWORK:-public}" = private ]; then
    cloud=$(az cloud show --query name -o tsv)
    [ "$cloud" = AzureCloud ] ||
        stop "DRIFTLOOP_NETWORK=private is for the public cloud: $cloud has no Flex Consumption, or cannot isolate endpoints."
fi

workspace=${DRIFTLOOP_EXISTING_WORKSPACE:-}
if [ -n "$workspace" ]; then
    read_of() {
        az resource show --ids "$workspace" --query "$1" -o tsv
    }
    location=$(read_of location) || stop "DRIFTLOOP_EXISTING_WORKSPACE is not a workspace that can be read: $workspace. Give its resource id: az ml workspace show --query id"
    [ "$(read_of properties.systemDatastoresAuthMode)" = identity ] ||
        stop "The workspace $workspace keeps keys for its datastores. Run: az ml workspace update --system-datastores-auth-mode identity"
    keep DRIFTLOOP_EXISTING_WORKSPACE_LOCATION "$location"
    if [ "${DRIFTLOOP_NETWORK:-public}" = private ]; then
        keep DRIFTLOOP_EXISTING_WORKSPACE_ISOLATION "$(read_of properties.managedNetwork.isolationMode)"
    fi
    keep DRIFTLOOP_EXISTING_WORKSPACE_STORAGE "$(read_of properties.storageAccount)"
    registry=$(read_of properties.containerRegistry)
    keep DRIFTLOOP_EXISTING_WORKSPACE_REGISTRY "$registry"
    [ -n "$registry" ] ||
        echo "The workspace has no container registry yet: Azure ML makes one with its first image. Run azd provision again then." >&2
    topic=$(topic_of "$workspace") # by itself, so that its failure ends the script
    keep DRIFTLOOP_EXISTING_WORKSPACE_TOPIC "$topic"
fi

# NAME=REGION of each account, and NAME=ID of its topic where it has one.
locations=""
topics=""
for container in $(echo "${DRIFTLOOP_LANDINGS:-}" | tr ',' ' '); do
    account=${container%%/blobServices/*}
    name=${account##*/}
    case ",$locations" in *",$name="*) continue ;; esac
    location=$(az resource show --ids "$account" --query location -o tsv) ||
        stop "DRIFTLOOP_LANDINGS names a storage account that cannot be read: $account. Give resource ids of containers: az storage container-rm show --storage-account NAME --name CONTAINER --query id"
    topic=$(topic_of "$account")
    locations="${locations:+$locations,}$name=$location"
    [ -z "$topic" ] || topics="${topics:+$topics,}$name=$topic"
done
if [ -n "${DRIFTLOOP_LANDINGS:-}" ]; then
    keep DRIFTLOOP_LANDING_LOCATIONS "$locations"
    keep DRIFTLOOP_LANDING_TOPICS "$topics"
fi

# Our own account has a topic of another owner where a policy or Defender for Storage made one first.
address=${DRIFTLOOP_STORAGE__blobServiceUri:-}
if [ -n "$address" ]; then
    account=${address#https://}
    account=${account%%.*}
    id=$(az resource list --resource-type Microsoft.Storage/storageAccounts --name "$account" --query "[0].id" -o tsv)
    topic=""
    [ -z "$id" ] || topic=$(topic_of "$id")
    keep DRIFTLOOP_EXISTING_BLOB_TOPIC "$topic"
fi
