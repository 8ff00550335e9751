#!/bin/sh
# Makes the app registration in front of the Function App, or completes it; running it again changes nothing.
# azd runs it before and after provisioning: before, because the templates need its ids; after, because only then
# the app's address is known, to which people come back when they have signed in.
#
# Whoever runs it needs, in Microsoft Entra: the role Application Developer to make the registration, and Cloud
# Application Administrator to give Azure Monitor its role. Without them an administrator runs it once, and
# DRIFTLOOP_AUTH_CLIENT_ID and DRIFTLOOP_AUTH_OBJECT_ID are set with `azd env set`: then it makes no registration.
#
# Azure Monitor lets only an owner of the registration create or change the action group. Owners become whoever
# deploys (AZURE_PRINCIPAL_ID) and every object id in DRIFTLOOP_AUTH_OWNERS, separated by blanks: put CI's there.
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

own() { # make each principal an owner of the registration, unless it is one; say what is missing, and go on
    if ! owners=$(az ad app owner list --id "$DRIFTLOOP_AUTH_CLIENT_ID" --query "[].id" -o tsv 2>/dev/null); then
        echo "could not read who owns the app registration; if the action group is refused, an owner runs:" \
            "az ad app owner add --id $DRIFTLOOP_AUTH_CLIENT_ID --owner-object-id <object id of whoever deploys>" >&2
        return
    fi
    for principal in "$@"; do
        case " $(echo "$owners" | tr '\n' ' ') " in
        *" $principal "*) continue ;;
        esac
        az ad app owner add --id "$DRIFTLOOP_AUTH_CLIENT_ID" --owner-object-id "$principal" ||
            echo "$principal does not own the app registration, so Azure Monitor will refuse the action group. An owner runs:" \
                "az ad app owner add --id $DRIFTLOOP_AUTH_CLIENT_ID --owner-object-id $principal" >&2
    done
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

# shellcheck disable=SC2086  # lists of ids
own ${AZURE_PRINCIPAL_ID:-} ${DRIFTLOOP_AUTH_OWNERS:-}

if [ -n "${DRIFTLOOP_APP_URL:-}" ]; then
    az ad app update --id "$DRIFTLOOP_AUTH_CLIENT_ID" \
        --web-redirect-uris "$DRIFTLOOP_APP_URL/.auth/login/aad/callback" ||
        echo "could not set the address to come back to: an owner of the registration runs this script again" >&2
fi
