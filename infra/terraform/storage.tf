# Our storage account, reached by identity only: landing, versions that nobody can change, state, the queues.
locals {
  # ../../shared/wiring.py and the loops' files name these; the dead-letter container is Event Grid's, app-package the platform's.
  containers = ["landing", "labels", "documents", "quarantine", "readings", "dead-letter", "app-package", "versions"]
  # Event Grid fills the first; the app names in the second which loops are to be run.
  queues = ["driftloop-events", "driftloop-events-poison", "driftloop-runs", "driftloop-runs-poison"]
}

resource "azapi_resource" "account" {
  type      = "Microsoft.Storage/storageAccounts@2025-06-01"
  parent_id = local.group_id
  name      = local.account_name
  location  = var.location
  tags      = local.tags

  body = {
    kind = "StorageV2"
    sku  = { name = var.storage_redundancy }
    properties = {
      accessTier                   = "Hot"
      allowBlobPublicAccess        = false
      allowCrossTenantReplication  = false
      allowSharedKeyAccess         = false
      defaultToOAuthAuthentication = true
      minimumTlsVersion            = "TLS1_2"
      supportsHttpsTrafficOnly     = true
      # Event Grid comes in as a trusted service, whatever is closed.
      publicNetworkAccess = local.is_private && var.storage_access == "disabled" ? "Disabled" : "Enabled"
      networkAcls         = { defaultAction = local.is_private ? "Deny" : "Allow", bypass = "AzureServices" }
    }
  }
}

# It comes with the account, and azapi refuses to make what is there already (terraform-provider-azapi#850); so does the
# service of queues and that of tables, which need nothing set.
resource "azapi_update_resource" "blobs" {
  type      = "Microsoft.Storage/storageAccounts/blobServices@2025-06-01"
  parent_id = azapi_resource.account.id
  name      = "default"

  body = {
    properties = {
      deleteRetentionPolicy          = { enabled = true, days = 14 }
      containerDeleteRetentionPolicy = { enabled = true, days = 14 }
    }
  }
}

resource "azapi_resource" "container" {
  for_each = toset(local.containers)

  type      = "Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01"
  parent_id = azapi_update_resource.blobs.id
  name      = each.value

  body = { properties = { publicAccess = "None" } }
}

# Unlocked: an administrator can still lift it. Locking cannot be undone, so it is a person's decision (docs/deploy.md).
# A request and no resource: `terraform destroy` would lift a policy that it owns, and delete the versions with their
# container; and once somebody has locked the policy, azurerm's resource refuses every plan.
resource "azapi_resource_action" "immutable" {
  type        = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01"
  resource_id = "${azapi_resource.container["versions"].id}/immutabilityPolicies/default"
  method      = "PUT"

  body = {
    properties = {
      immutabilityPeriodSinceCreationInDays = var.versions_immutable_days
      allowProtectedAppendWrites            = false
    }
  }
}

resource "azapi_resource" "queue" {
  for_each = toset(local.queues)

  type      = "Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01"
  parent_id = "${azapi_resource.account.id}/queueServices/default"
  name      = each.value
}

resource "azapi_resource" "table" {
  type      = "Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01"
  parent_id = "${azapi_resource.account.id}/tableServices/default"
  name      = "driftloop"
}

module "roles_on_account" {
  source = "./roles"

  scope         = azapi_resource.account.id
  grants        = [for row in local.grants : row if row.scope == "account"]
  principal_ids = local.principal_ids
}

module "roles_on_container" {
  source   = "./roles"
  for_each = toset(["versions", "readings", "dead-letter"])

  scope         = azapi_resource.container[each.value].id
  grants        = [for row in local.grants : row if row.scope == each.value]
  principal_ids = local.principal_ids
}

module "roles_on_own_landing" {
  source = "./roles"

  scope         = azapi_resource.container["landing"].id
  grants        = [for row in local.grants : row if row.scope == "own-landing"]
  principal_ids = local.principal_ids
}

module "roles_on_queue" {
  source = "./roles"

  scope         = azapi_resource.queue["driftloop-events"].id
  grants        = [for row in local.grants : row if row.scope == "queue"]
  principal_ids = local.principal_ids
}
