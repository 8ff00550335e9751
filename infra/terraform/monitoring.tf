# Logs and telemetry, without keys.
resource "azapi_resource" "logs" {
  type      = "Microsoft.OperationalInsights/workspaces@2025-07-01"
  parent_id = local.group_id
  name      = "log-${local.token}"
  location  = var.location
  tags      = local.tags

  body = {
    properties = {
      sku             = { name = "PerGB2018" }
      retentionInDays = var.log_retention_days
      features        = { disableLocalAuth = true, enableLogAccessUsingOnlyResourcePermissions = true }
    }
  }

  response_export_values = ["properties.customerId"]
}

resource "azapi_resource" "telemetry" {
  type      = "Microsoft.Insights/components@2020-02-02"
  parent_id = local.group_id
  name      = "appi-${local.token}"
  location  = var.location
  tags      = local.tags

  body = {
    kind = "web"
    properties = {
      Application_Type    = "web"
      WorkspaceResourceId = azapi_resource.logs.id
      DisableLocalAuth    = true
    }
  }

  response_export_values = ["properties.ConnectionString"]
}

module "roles_on_telemetry" {
  source = "./roles"

  scope         = azapi_resource.telemetry.id
  grants        = [for row in local.grants : row if row.scope == "telemetry"]
  principal_ids = local.early
}

module "roles_on_logs" {
  source = "./roles"

  scope         = azapi_resource.logs.id
  grants        = [for row in local.grants : row if row.scope == "logs"]
  principal_ids = local.early
}

# The action group that turns an alert into a hint in the queue. Azure Monitor signs in with a token of its own: no function
# key is part of an address. Whoever makes or changes it must own the app registration (docs/deploy.md).
resource "azapi_resource" "action_group" {
  count = local.alerts_arrive ? 1 : 0

  type      = "Microsoft.Insights/actionGroups@2023-01-01"
  parent_id = local.group_id
  name      = "driftloop-${local.token}"
  location  = "global"
  tags      = local.tags

  body = {
    properties = {
      groupShortName = "driftloop"
      enabled        = true
      webhookReceivers = [{
        name                 = "alert-function"
        serviceUri           = "https://${azapi_resource.site.output.properties.defaultHostName}/api/alert"
        useCommonAlertSchema = true
        useAadAuth           = true
        objectId             = var.auth_object_id
        identifierUri        = "api://${var.auth_client_id}"
        tenantId             = local.tenant_id
      }]
    }
  }
}

# Switches on the traffic log of an endpoint that exists. The endpoint itself is Driftloop's: Terraform would take its
# traffic away.
resource "azapi_resource" "diagnostics" {
  for_each = toset(local.endpoint_names)

  type      = "Microsoft.Insights/diagnosticSettings@2021-05-01-preview"
  parent_id = "${local.workspace_id}/onlineEndpoints/${each.value}"
  name      = "driftloop"

  body = {
    properties = {
      workspaceId = azapi_resource.logs.id
      logs = [
        { category = "AmlOnlineEndpointTrafficLog", enabled = true },
        { category = "AmlOnlineEndpointEventLog", enabled = true },
      ]
    }
  }
}

# An endpoint's error alert. It counts what the canary counts: the service answers 424 when the model failed, with the
# model's own code in ModelStatusCode. Requests of Driftloop's own are left out.
resource "azapi_resource" "alert" {
  for_each = toset(local.endpoint_names)

  type      = "Microsoft.Insights/scheduledQueryRules@2026-03-01"
  parent_id = local.group_id
  name      = "${each.value}-errors"
  location  = var.location
  tags      = local.tags

  body = {
    kind = "LogAlert"
    properties = {
      displayName         = "${each.value}-errors"
      description         = "More than one in twenty requests failed. A loop whose retrain.alerts matches this name takes it as a reason."
      enabled             = true
      severity            = 2
      scopes              = [azapi_resource.logs.id]
      evaluationFrequency = "PT15M"
      windowSize          = "PT1H"
      autoMitigate        = true
      # The table exists only once a first row was written.
      skipQueryValidation = true
      criteria = {
        allOf = [{
          query               = <<-EOT
            AmlOnlineEndpointTrafficLog
            | where EndpointName == "${each.value}" and XMSClientRequestId !startswith "driftloop-"
            | summarize Share = 100.0 * countif(toint(ResponseCode) == 424 or toint(ResponseCode) >= 500 or toint(ModelStatusCode) >= 500) / count()
          EOT
          timeAggregation     = "Maximum"
          metricMeasureColumn = "Share"
          operator            = "GreaterThan"
          threshold           = 5
          failingPeriods      = { numberOfEvaluationPeriods = 1, minFailingPeriodsToAlert = 1 }
        }]
      }
      actions = { actionGroups = azapi_resource.action_group[*].id }
    }
  }
}
