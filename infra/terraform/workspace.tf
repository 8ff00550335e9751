# The Azure ML workspace, what a new one stands on, and what Driftloop adds to it, new or existing. A workspace's identity may
# do everything with its own storage account, key vault and container registry, so nothing of ours is in them.
locals {
  workspace_path           = "${local.subscription_path}/resourceGroups/${local.workspace_group}/providers/Microsoft.MachineLearningServices/workspaces/${local.workspace_name}"
  workspace_id             = local.is_new_workspace ? one(azapi_resource.workspace[*].id) : local.workspace_path
  workspace_account_id     = local.is_new_workspace ? one(azapi_resource.workspace_account[*].id) : var.existing_workspace_storage_id
  registry_id              = local.is_new_workspace ? one(azapi_resource.registry[*].id) : var.existing_workspace_registry_id
  package_hosts            = ["pypi.org", "*.pythonhosted.org", "anaconda.com", "*.anaconda.com", "*.anaconda.org"]
  outbound_hosts           = local.has_managed_network && local.is_new_workspace && var.training_outbound == "approved" ? local.package_hosts : []
  workspace_public_network = local.is_private ? "Disabled" : "Enabled"
}

resource "azapi_resource" "workspace_account" {
  count = local.is_new_workspace ? 1 : 0

  type      = "Microsoft.Storage/storageAccounts@2025-06-01"
  parent_id = local.group_id
  name      = "stml${local.token}"
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
      publicNetworkAccess          = local.workspace_public_network
      networkAcls                  = { defaultAction = local.is_private ? "Deny" : "Allow", bypass = "AzureServices" }
    }
  }
}

resource "azapi_update_resource" "workspace_blobs" {
  count = local.is_new_workspace ? 1 : 0

  type      = "Microsoft.Storage/storageAccounts/blobServices@2025-06-01"
  parent_id = azapi_resource.workspace_account[0].id
  name      = "default"

  body = {
    properties = {
      deleteRetentionPolicy          = { enabled = true, days = 14 }
      containerDeleteRetentionPolicy = { enabled = true, days = 14 }
    }
  }
}

resource "azapi_resource" "vault" {
  count = local.is_new_workspace ? 1 : 0

  type      = "Microsoft.KeyVault/vaults@2025-05-01"
  parent_id = local.group_id
  name      = "kv-${local.token}"
  location  = var.location
  tags      = local.tags

  body = {
    properties = merge(
      {
        tenantId                = local.tenant_id
        sku                     = { family = "A", name = "standard" }
        enableRbacAuthorization = true
        enablePurgeProtection   = true
        enableSoftDelete        = true
      },
      { for name, value in {
        publicNetworkAccess = "Disabled"
        networkAcls         = { defaultAction = "Deny", bypass = "AzureServices" }
      } : name => value if local.is_private },
    )
  }
}

resource "azapi_resource" "registry" {
  count = local.is_new_workspace ? 1 : 0

  type      = "Microsoft.ContainerRegistry/registries@2025-11-01"
  parent_id = local.group_id
  name      = "cr${local.token}"
  location  = var.location
  tags      = local.tags

  body = {
    # Private endpoints want Premium.
    sku = { name = local.is_private ? "Premium" : "Basic" }
    properties = merge(
      { adminUserEnabled = false, anonymousPullEnabled = false },
      { for name, value in {
        publicNetworkAccess      = "Disabled"
        networkRuleBypassOptions = "AzureServices"
      } : name => value if local.is_private },
    )
  }
}

# What the workspace's identity needs before there is a workspace; the other rows on these scopes come along.
module "roles_on_workspace_account" {
  source = "./roles"

  scope         = local.workspace_account_id
  grants        = [for row in local.grants : row if row.scope == "workspace-account"]
  principal_ids = local.early
}

module "roles_on_registry" {
  source = "./roles"
  count  = local.has_registry ? 1 : 0

  scope         = local.registry_id
  grants        = [for row in local.grants : row if row.scope == "registry"]
  principal_ids = local.early
}

module "roles_on_vault" {
  source = "./roles"
  count  = local.is_new_workspace ? 1 : 0

  scope         = azapi_resource.vault[0].id
  grants        = [for row in local.grants : row if row.scope == "vault"]
  principal_ids = local.early
}

# Without keys. Its identity is made, and has its roles, before it: with a system-assigned one Azure would give it a role on
# the whole resource group.
resource "azapi_resource" "workspace" {
  count = local.is_new_workspace ? 1 : 0

  type      = "Microsoft.MachineLearningServices/workspaces@2025-12-01"
  parent_id = local.group_id
  name      = local.workspace_name
  location  = var.location
  tags      = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.made["workspace"].id]
  }

  body = {
    sku = { name = "Basic", tier = "Basic" }
    properties = merge(
      {
        friendlyName                = "Driftloop"
        storageAccount              = local.workspace_account_id
        keyVault                    = azapi_resource.vault[0].id
        applicationInsights         = azapi_resource.telemetry.id
        containerRegistry           = local.registry_id
        primaryUserAssignedIdentity = azurerm_user_assigned_identity.made["workspace"].id
        publicNetworkAccess         = local.workspace_public_network
        systemDatastoresAuthMode    = "identity"
        v1LegacyMode                = false
      },
      # A registry behind a private endpoint cannot build images: the cluster does. The network is made at once, as an
      # endpoint's first deployment would not make it.
      { for name, value in {
        managedNetwork = merge(
          { isolationMode = var.training_outbound == "approved" ? "AllowOnlyApprovedOutbound" : "AllowInternetOutbound" },
          { for name in ["firewallSku"] : name => "Basic" if var.training_outbound == "approved" },
        )
        provisionNetworkNow = true
        imageBuildCompute   = "driftloop-cpu"
      } : name => value if local.is_private },
    )
  }

  # Making a managed network takes half an hour by itself, which is azapi's patience.
  timeouts {
    create = "2h"
    update = "2h"
  }

  depends_on = [
    module.roles_on_workspace_account,
    module.roles_on_registry,
    module.roles_on_vault,
    module.roles_on_telemetry,
    module.storage_endpoint,
    module.dependency_endpoint,
  ]
}

module "roles_on_workspace" {
  source = "./roles"

  scope         = local.workspace_id
  grants        = [for row in local.grants : row if row.scope == "workspace"]
  principal_ids = local.principal_ids
}

# What its managed network lets out beside what Azure ML itself asks for. One after another: each changes the same network.
# Before the cluster, and after the role by which the workspace approves its own endpoint to our account.
resource "azapi_resource" "outbound_versions" {
  count = local.has_managed_network ? 1 : 0

  type      = "Microsoft.MachineLearningServices/workspaces/outboundRules@2025-12-01"
  parent_id = local.workspace_id
  name      = "driftloop-versions"
  locks     = [local.workspace_path]

  body = {
    properties = {
      type        = "PrivateEndpoint"
      category    = "UserDefined"
      destination = { serviceResourceId = azapi_resource.account.id, subresourceTarget = "blob", sparkEnabled = false }
    }
  }

  depends_on = [module.roles_on_account, module.workspace_endpoint]
}

resource "azapi_resource" "outbound_packages" {
  for_each = { for index, host in local.outbound_hosts : tostring(index) => host }

  type      = "Microsoft.MachineLearningServices/workspaces/outboundRules@2025-12-01"
  parent_id = local.workspace_id
  name      = "driftloop-packages-${each.key}"
  locks     = [local.workspace_path]

  body = { properties = { type = "FQDN", category = "UserDefined", destination = each.value } }

  depends_on = [azapi_resource.outbound_versions]
}

# What Driftloop adds: a datastore over the data versions, and a cluster that scales to zero.
resource "azapi_resource" "datastore" {
  type      = "Microsoft.MachineLearningServices/workspaces/datastores@2025-12-01"
  parent_id = local.workspace_id
  name      = "driftloop_versions"

  body = {
    properties = {
      datastoreType                 = "AzureBlob"
      description                   = "The immutable data versions of Driftloop"
      accountName                   = azapi_resource.account.name
      containerName                 = azapi_resource.container["versions"].name
      endpoint                      = local.cloud.storage
      protocol                      = "https"
      credentials                   = { credentialsType = "None" }
      serviceDataAccessAuthIdentity = "None"
    }
  }

  depends_on = [azapi_resource.outbound_packages, azapi_resource.outbound_versions]
}

resource "azapi_resource" "cluster" {
  count = var.training_max_nodes > 0 ? 1 : 0

  type      = "Microsoft.MachineLearningServices/workspaces/computes@2025-12-01"
  parent_id = local.workspace_id
  name      = "driftloop-cpu"
  location  = local.workspace_location
  tags      = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.made["compute"].id]
  }

  body = {
    properties = {
      computeType      = "AmlCompute"
      disableLocalAuth = true
      properties = merge(
        {
          vmSize                      = var.training_vm_size
          vmPriority                  = "Dedicated"
          remoteLoginPortPublicAccess = "Disabled"
          scaleSettings = {
            minNodeCount                = 0
            maxNodeCount                = var.training_max_nodes
            nodeIdleTimeBeforeScaleDown = "PT2M"
          }
        },
        { for name in ["enableNodePublicIp"] : name => false if local.has_managed_network },
      )
    }
  }

  timeouts {
    create = "1h"
  }

  depends_on = [azapi_resource.outbound_packages, azapi_resource.outbound_versions]
}
