# The Function App on Flex Consumption. By azapi, as azurerm 5.2 writes AzureWebJobsStorage with an empty key into the settings
# of an app that uses an identity (terraform-provider-azurerm#29693), and knows no keyVaultReferenceIdentity (#31439).
locals {
  # By the second azd finds the app.
  app_tags = merge(local.tags, { "azd-service-name" = "app" })
}

resource "azapi_resource" "plan" {
  type      = "Microsoft.Web/serverfarms@2025-03-01"
  parent_id = local.group_id
  name      = "plan-${local.app_name}"
  location  = var.location
  tags      = local.app_tags

  body = {
    kind       = "functionapp"
    sku        = { tier = "FlexConsumption", name = "FC1" }
    properties = { reserved = true }
  }
}

# It comes after every role of its identity: storage that refuses it ends the host, again and again.
resource "azapi_resource" "site" {
  type      = "Microsoft.Web/sites@2025-03-01"
  parent_id = local.group_id
  name      = local.app_name
  location  = var.location
  tags      = local.app_tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.made["app"].id]
  }

  body = {
    kind = "functionapp,linux"
    properties = merge(
      {
        serverFarmId              = azapi_resource.plan.id
        httpsOnly                 = true
        keyVaultReferenceIdentity = azurerm_user_assigned_identity.made["app"].id
        publicNetworkAccess       = local.alerts_arrive ? "Enabled" : "Disabled"
        siteConfig = merge(
          { minTlsVersion = "1.2", ftpsState = "Disabled", http20Enabled = true },
          # With a private endpoint the deployment site is closed, too: whoever deploys is in the network.
          { for name, value in {
            ipSecurityRestrictionsDefaultAction = "Deny"
            ipSecurityRestrictions = [
              for address in ["ActionGroup"] :
              { name = "azure-monitor", priority = 100, action = "Allow", tag = "ServiceTag", ipAddress = address }
              if local.alerts_arrive
            ]
            scmIpSecurityRestrictionsUseMain       = false
            scmIpSecurityRestrictionsDefaultAction = "Deny"
          } : name => value if local.is_private },
        )
        functionAppConfig = {
          deployment = {
            storage = {
              type  = "blobContainer"
              value = "${local.blob_uri}/${azapi_resource.container["app-package"].name}"
              authentication = {
                type                           = "UserAssignedIdentity"
                userAssignedIdentityResourceId = azurerm_user_assigned_identity.made["app"].id
              }
            }
          }
          runtime             = { name = "python", version = var.python_version }
          scaleAndConcurrency = { maximumInstanceCount = 40, instanceMemoryMB = var.instance_memory_mb }
        }
      },
      { for name in ["virtualNetworkSubnetId"] : name => local.app_subnet_id if local.is_private },
    )
  }

  response_export_values = ["properties.defaultHostName"]

  depends_on = [
    module.storage_endpoint,
    module.workspace_endpoint,
    module.roles_on_account,
    module.roles_on_container,
    module.roles_on_own_landing,
    module.roles_on_queue,
    module.roles_on_workspace_account,
    module.roles_on_workspace,
    module.roles_on_topic,
    module.roles_on_logs,
    module.roles_on_telemetry,
    module.roles_on_endpoint_identity,
    module.roles_on_shared_registry,
    module.roles_on_landing,
    module.roles_on_group,
  ]
}

# Exactly what ../../shared/settings.py and the host ask for. Settings cannot be read by GET, so that a resource that reads before
# it writes does not serve; this writes them whole, whenever one of them changes.
resource "azapi_resource_action" "settings" {
  type        = "Microsoft.Web/sites/config@2025-03-01"
  resource_id = "${azapi_resource.site.id}/config/appsettings"
  method      = "PUT"

  body = {
    properties = merge(
      {
        AzureWebJobsStorage__blobServiceUri         = local.blob_uri
        AzureWebJobsStorage__queueServiceUri        = local.queue_uri
        AzureWebJobsStorage__tableServiceUri        = local.table_uri
        AzureWebJobsStorage__credential             = "managedidentity"
        AzureWebJobsStorage__clientId               = azurerm_user_assigned_identity.made["app"].client_id
        AzureWebJobsDisableHomepage                 = "true"
        AZURE_CLIENT_ID                             = azurerm_user_assigned_identity.made["app"].client_id
        DRIFTLOOP_STORAGE__blobServiceUri           = local.blob_uri
        DRIFTLOOP_STORAGE__queueServiceUri          = local.queue_uri
        DRIFTLOOP_STORAGE__tableServiceUri          = local.table_uri
        DRIFTLOOP_STORAGE__credential               = "managedidentity"
        DRIFTLOOP_STORAGE__clientId                 = azurerm_user_assigned_identity.made["app"].client_id
        DRIFTLOOP_SUBSCRIPTION_ID                   = local.subscription_id
        DRIFTLOOP_RESOURCE_GROUP                    = local.workspace_group
        DRIFTLOOP_WORKSPACE                         = local.workspace_name
        DRIFTLOOP_DATASTORE                         = azapi_resource.datastore.name
        DRIFTLOOP_QUEUE                             = azapi_resource.queue["driftloop-events"].name
        DRIFTLOOP_RUNS                              = azapi_resource.queue["driftloop-runs"].name
        DRIFTLOOP_TABLE                             = azapi_resource.table.name
        DRIFTLOOP_TOPIC_ENDPOINT                    = azapi_resource.topic.output.properties.endpoint
        DRIFTLOOP_LOGS_WORKSPACE_ID                 = azapi_resource.logs.output.properties.customerId
        DRIFTLOOP_LOGS_ENDPOINT                     = local.cloud.logs
        DRIFTLOOP_ENDPOINT_IDENTITY                 = azurerm_user_assigned_identity.made["endpoint"].id
        DRIFTLOOP_REGISTRY                          = var.shared_registry_id
        DRIFTLOOP_AUTOSCALE_GROUP                   = var.autoscale == "on" ? local.group_name : ""
        DRIFTLOOP_ENVIRONMENT                       = var.environment_name
        DRIFTLOOP_ENDPOINT_ACCESS                   = local.has_managed_network ? "disabled" : "enabled"
        DRIFTLOOP_TICK_SCHEDULE                     = var.tick_schedule
        DRIFTLOOP_SWEEP_SCHEDULE                    = var.sweep_schedule
        DRIFTLOOP_LINEAGE_URL                       = var.lineage_url
        DRIFTLOOP_LINEAGE_KEY                       = var.lineage_key
        DRIFTLOOP_HTTP_KEYS                         = var.http_keys
        APPLICATIONINSIGHTS_CONNECTION_STRING       = azapi_resource.telemetry.output.properties.ConnectionString
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING   = "ClientId=${azurerm_user_assigned_identity.made["app"].client_id};Authorization=AAD"
        PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY = "true"
      },
      # The host can lose a race at its start with addresses alone (azure-functions-host#11787); from the name it builds
      # addresses of the public cloud, so that in another cloud the name must not be given (terraform-provider-azurerm#32062).
      { for name in ["AzureWebJobsStorage__accountName"] : name => local.account_name if var.cloud == "public" },
    )
  }
}

# Nobody publishes with a password. Both policies come with the app.
resource "azapi_update_resource" "publishing" {
  for_each = toset(["ftp", "scm"])

  type      = "Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01"
  parent_id = azapi_resource.site.id
  name      = each.value

  body = { properties = { allow = false } }
}

# Nobody reaches a function without a token of this tenant for this app; roles in the token say what the caller may do.
resource "azapi_update_resource" "authentication" {
  type      = "Microsoft.Web/sites/config@2025-03-01"
  parent_id = azapi_resource.site.id
  name      = "authsettingsV2"

  body = {
    properties = {
      platform = { enabled = true, runtimeVersion = "~1" }
      globalValidation = {
        requireAuthentication       = true
        unauthenticatedClientAction = "RedirectToLoginPage"
        redirectToProvider          = "azureactivedirectory"
      }
      httpSettings = { requireHttps = true }
      identityProviders = {
        azureActiveDirectory = {
          enabled = true
          registration = {
            clientId     = var.auth_client_id
            openIdIssuer = "${local.cloud.login}${local.tenant_id}/v2.0"
          }
          validation = { allowedAudiences = ["api://${var.auth_client_id}", var.auth_client_id] }
        }
      }
      login = { tokenStore = { enabled = false } }
    }
  }

  # Settings and authentication are both the site's configuration: one after the other.
  depends_on = [azapi_resource_action.settings]
}

module "roles_on_endpoint_identity" {
  source = "./roles"

  scope         = azurerm_user_assigned_identity.made["endpoint"].id
  grants        = [for row in local.grants : row if row.scope == "endpoint-identity"]
  principal_ids = local.early
}

module "roles_on_shared_registry" {
  source = "./roles"
  count  = var.shared_registry_id == "" ? 0 : 1

  scope         = var.shared_registry_id
  grants        = [for row in local.grants : row if row.scope == "shared-registry"]
  principal_ids = local.early
}

module "roles_on_group" {
  source = "./roles"
  count  = var.autoscale == "on" ? 1 : 0

  scope         = local.group_id
  grants        = [for row in local.grants : row if row.scope == "app-group"]
  principal_ids = local.early
}
