#!/bin/sh
# Makes the app registration in front of the Function App, or completes it; running it again changes nothing.
# azd runs it before and after provisioning: before, because the templates need its ids; after, because only then
# the app's address is known, to which people come back when they have signed in.
#
# Who runs it needs, in Microsoft Entra: the role Application Developer to make the registration, and Cloud
# Application Administrator to give Azure Monitor its role. Who has neither lets an administrator run it once and
# sets DRIFTLOOP_AUTH_CLIENT_ID and DRIFTLOOP_AUTH_OBJECT_ID with `azd env set`: then it makes no registration.
set -eu

here=$(dirname "$0")
azure_monitor=461e8683-5575-4561-ac7f-899cc907d62a # "AzNS AAD Webhook", the same in every tenant
graph=https://graph.microsoft.com/v1.0

role_id() {
    sed -n "/\"id\"/{s/.*: \"\(.*\)\",/\1/;h;};/\"value\": \"$1\"/{g;p;q;}" "$here/app-roles.json"
}

principal_of() { # the service principal of an application, made if it is not there
    az ad sp show --id "$1" --query id -o tsv 2>/dev/null || az ad sp create --id "$1" --query id -o tsv
}

give() { # give ROLE to PRINCIPAL on RESOURCE, unless it has it
    role=$(role_id "$1")
    held=$(az rest --url "$graph/servicePrincipals/$3/appRoleAssignedTo" \
        --query "value[?principalId=='$2' && appRoleId=='$role'] | length(@)" -o tsv)
    if [ "$held" = 0 ]; then
        az rest --method post --url "$graph/servicePrincipals/$3/appRoleAssignedTo" --output none \
            --body "{\"principalId\": \"$2\", \"resourceId\": \"$3\", \"appRoleId\": \"$role\"}"
    fi
}

if [ -z "${DRIFTLOOP_AUTH_CLIENT_ID:-}" ]; then
    DRIFTLOOP_AUTH_CLIENT_ID=$(az ad app create --display-name "driftloop-$AZURE_ENV_NAME" \
        --sign-in-audience AzureADMyOrg --enable-id-token-issuance true \
        --app-roles "@$here/app-roles.json" --query appId -o tsv)
    DRIFTLOOP_AUTH_OBJECT_ID=$(az ad app show --id "$DRIFTLOOP_AUTH_CLIENT_ID" --query id -o tsv)
    az ad app update --id "$DRIFTLOOP_AUTH_CLIENT_ID" --identifier-uris "api://$DRIFTLOOP_AUTH_CLIENT_ID"
    az ad app update --id "$DRIFTLOOP_AUTH_CLIENT_ID" --set api.requestedAccessTokenVersion=2
    service=$(principal_of "$DRIFTLOOP_AUTH_CLIENT_ID")
    az ad sp update --id "$service" --set appRoleAssignmentRequired=true
    give ActionGroupsSecureWebhook "$(principal_of "$azure_monitor")" "$service"
    me=$(az ad signed-in-user show --query id -o tsv 2>/dev/null || true)
    if [ -n "$me" ]; then
        give Driftloop.Look "$me" "$service"
        give Driftloop.Act "$me" "$service"
    fi
    azd env set DRIFTLOOP_AUTH_CLIENT_ID "$DRIFTLOOP_AUTH_CLIENT_ID"
    azd env set DRIFTLOOP_AUTH_OBJECT_ID "$DRIFTLOOP_AUTH_OBJECT_ID"
fi

if [ -n "${DRIFTLOOP_APP_URL:-}" ]; then
    az ad app update --id "$DRIFTLOOP_AUTH_CLIENT_ID" \
        --web-redirect-uris "$DRIFTLOOP_APP_URL/.auth/login/aad/callback" ||
        echo "could not set the address to come back to: an owner of the registration runs this script again" >&2
fi
