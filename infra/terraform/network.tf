# Private networking: nothing of it is made, and no row of `private` is given, in a public deployment.
locals {
  is_private          = var.network == "private"
  has_network         = var.existing_app_subnet_id != ""
  makes_network       = local.is_private && !local.has_network
  makes_zones         = local.is_private && var.existing_zones_group_id == ""
  has_managed_network = local.is_private && (local.is_new_workspace || !contains(["", "Disabled"], var.existing_workspace_isolation))
  alerts_arrive       = !local.is_private || var.app_access == "alerts"

  network_id         = local.has_network ? split("/subnets/", var.existing_endpoint_subnet_id)[0] : one(azapi_resource.network[*].id)
  app_subnet_id      = local.has_network ? var.existing_app_subnet_id : try("${local.network_id}/subnets/app", "")
  endpoint_subnet_id = local.has_network ? var.existing_endpoint_subnet_id : try("${local.network_id}/subnets/endpoints", "")
  zones_group_id     = var.existing_zones_group_id == "" ? local.group_id : var.existing_zones_group_id
  zones              = yamldecode(file("${path.module}/../zones.yaml"))

  # By what is reached: which part of it, the zones that name it, and whether it is part of a new workspace.
  links = {
    for name, link in {
      "blob"           = { group = "blob", zones = ["blob"], of_workspace = false }
      "queue"          = { group = "queue", zones = ["queue"], of_workspace = false }
      "table"          = { group = "table", zones = ["table"], of_workspace = false }
      "workspace-blob" = { group = "blob", zones = ["blob"], of_workspace = true }
      "workspace-file" = { group = "file", zones = ["file"], of_workspace = true }
      "vault"          = { group = "vault", zones = ["vault"], of_workspace = true }
      "registry"       = { group = "registry", zones = ["registry"], of_workspace = true }
      "workspace"      = { group = "amlworkspace", zones = ["workspace", "notebooks"], of_workspace = true }
      "topic"          = { group = "topic", zones = ["topic"], of_workspace = false }
      "app"            = { group = "sites", zones = ["app"], of_workspace = false }
    } :
    name => { name = "pe-${name}-${local.token}", group = link.group, zones = [for zone in link.zones : local.zones[zone]] }
    if local.is_private && (local.is_new_workspace || !link.of_workspace)
  }
  used_zones = toset(flatten([for link in values(local.links) : link.zones]))
}

# A subnet that the app goes out through, and one of private endpoints.
resource "azapi_resource" "network" {
  count = local.makes_network ? 1 : 0

  type      = "Microsoft.Network/virtualNetworks@2025-05-01"
  parent_id = local.group_id
  name      = "vnet-${local.token}"
  location  = var.location
  tags      = local.tags

  body = {
    properties = {
      addressSpace = { addressPrefixes = [var.network_addresses] }
      subnets = [
        {
          # Flex Consumption's; it may hold nothing else, and its size cannot be changed once it is used.
          name = "app"
          properties = {
            addressPrefix = cidrsubnet(var.network_addresses, 26 - split("/", var.network_addresses)[1], 0)
            delegations   = [{ name = "flex-consumption", properties = { serviceName = "Microsoft.App/environments" } }]
          }
        },
        {
          name = "endpoints"
          properties = {
            addressPrefix                  = cidrsubnet(var.network_addresses, 26 - split("/", var.network_addresses)[1], 1)
            defaultOutboundAccess          = false
            privateEndpointNetworkPolicies = "Disabled"
          }
        },
      ]
    }
  }
}

# Names of services resolve to the private endpoints within the network.
resource "azapi_resource" "zone" {
  for_each = local.makes_zones ? local.used_zones : []

  type      = "Microsoft.Network/privateDnsZones@2024-06-01"
  parent_id = local.group_id
  name      = each.value
  location  = "global"
  tags      = local.tags
}

resource "azapi_resource" "zone_link" {
  for_each = local.makes_zones ? local.used_zones : []

  type      = "Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01"
  parent_id = azapi_resource.zone[each.value].id
  name      = local.has_network ? reverse(split("/", local.network_id))[0] : "vnet-${local.token}"
  location  = "global"
  tags      = local.tags

  body = {
    properties = {
      registrationEnabled = false
      virtualNetwork      = { id = local.network_id }
    }
  }
}

# What all private endpoints share. Each is made beside what it leads to, so that none waits for what it does not need.
locals {
  endpoint_place = {
    subnet_id      = local.endpoint_subnet_id
    zones_group_id = local.zones_group_id
    group_id       = local.group_id
    location       = var.location
    tags           = local.tags
  }
}

module "storage_endpoint" {
  source   = "./endpoint"
  for_each = { for name, link in local.links : name => link if contains(["blob", "queue", "table"], name) }

  link        = each.value
  resource_id = azapi_resource.account.id
  place       = local.endpoint_place

  depends_on = [azapi_resource.zone_link]
}

module "dependency_endpoint" {
  source   = "./endpoint"
  for_each = { for name, link in local.links : name => link if contains(["workspace-blob", "workspace-file", "vault", "registry"], name) }

  link = each.value
  resource_id = {
    "workspace-blob" = local.workspace_account_id
    "workspace-file" = local.workspace_account_id
    "vault"          = one(azapi_resource.vault[*].id)
    "registry"       = local.registry_id
  }[each.key]
  place = local.endpoint_place

  depends_on = [azapi_resource.zone_link]
}

module "workspace_endpoint" {
  source   = "./endpoint"
  for_each = { for name, link in local.links : name => link if contains(["workspace", "topic"], name) }

  link        = each.value
  resource_id = each.key == "topic" ? azapi_resource.topic.id : local.workspace_id
  place       = local.endpoint_place

  depends_on = [azapi_resource.zone_link]
}

module "app_endpoint" {
  source   = "./endpoint"
  for_each = { for name, link in local.links : name => link if name == "app" }

  link        = each.value
  resource_id = azapi_resource.site.id
  place       = local.endpoint_place

  depends_on = [azapi_resource.zone_link]
}

module "roles_on_endpoint" {
  source   = "./roles"
  for_each = toset([for name in ["workspace-blob", "workspace-file"] : name if contains(keys(local.links), name)])

  scope         = module.dependency_endpoint[each.value].id
  grants        = [for row in local.grants : row if row.scope == each.value]
  principal_ids = local.early
}
