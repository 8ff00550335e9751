# Names and ids, as far as they are known before anything is made.
locals {
  subscription_id   = data.azurerm_client_config.current.subscription_id
  tenant_id         = data.azurerm_client_config.current.tenant_id
  subscription_path = "/subscriptions/${local.subscription_id}"
  seed              = "${local.subscription_path}-${var.environment_name}-${var.location}-${var.salt}"
  token             = var.token == "" ? substr(sha256(local.seed), 0, 13) : var.token
  tags              = { "azd-env-name" = var.environment_name }

  group_name = var.existing_group_name == "" ? "rg-${var.environment_name}" : var.existing_group_name
  group_id   = var.existing_group_name == "" ? azurerm_resource_group.made[0].id : "${local.subscription_path}/resourceGroups/${local.group_name}"

  # A workspace's system-assigned identity has a role on its whole resource group that can lift the immutability policy;
  # so one that exists is in another group (variables.tf).
  is_new_workspace   = var.existing_workspace_id == ""
  workspace_group    = local.is_new_workspace ? local.group_name : split("/", var.existing_workspace_id)[4]
  workspace_name     = local.is_new_workspace ? "mlw-${local.token}" : reverse(split("/", var.existing_workspace_id))[0]
  workspace_location = local.is_new_workspace ? var.location : var.existing_workspace_location
  has_registry       = local.is_new_workspace || var.existing_workspace_registry_id != ""

  account_name = "st${local.token}"
  app_name     = "func-${local.token}"
  identity_names = merge(
    { app = "id-app-${local.token}", compute = "id-compute-${local.token}", endpoint = "id-endpoint-${local.token}" },
    { for name in ["workspace"] : name => "id-workspace-${local.token}" if local.is_new_workspace },
  )
  endpoint_names = distinct(compact([for name in split(",", var.endpoints) : trimspace(name)]))

  # What differs from cloud to cloud, which Bicep's environment() knows.
  clouds = {
    public = {
      storage = "core.windows.net"
      login   = "https://login.microsoftonline.com/"
      logs    = "https://api.loganalytics.io/v1"
    }
    usgovernment = {
      storage = "core.usgovcloudapi.net"
      login   = "https://login.microsoftonline.us/"
      logs    = "https://api.loganalytics.us/v1"
    }
    china = {
      storage = "core.chinacloudapi.cn"
      login   = "https://login.chinacloudapi.cn/"
      logs    = "https://api.loganalytics.azure.cn/v1"
    }
  }
  cloud     = local.clouds[var.cloud]
  blob_uri  = "https://${local.account_name}.blob.${local.cloud.storage}"
  queue_uri = "https://${local.account_name}.queue.${local.cloud.storage}"
  table_uri = "https://${local.account_name}.table.${local.cloud.storage}"
}

resource "azurerm_resource_group" "made" {
  count = var.existing_group_name == "" ? 1 : 0

  name     = local.group_name
  location = var.location
  tags     = local.tags
}
