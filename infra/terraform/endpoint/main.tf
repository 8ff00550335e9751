# A private endpoint, with its records in the DNS zones.
terraform {
  required_providers {
    azapi = {
      source = "Azure/azapi"
    }
  }
}

variable "link" {
  type        = object({ name = string, group = string, zones = list(string) })
  description = "Its name, which part of the resource it leads to, and the DNS zones that name it."
}

variable "resource_id" {
  type        = string
  description = "Resource id of what it leads to."
}

variable "place" {
  type = object({
    subnet_id      = string
    zones_group_id = string
    group_id       = string
    location       = string
    tags           = map(string)
  })
  description = "Subnet and resource group, and the resource group that has the DNS zones."
}

resource "azapi_resource" "endpoint" {
  type      = "Microsoft.Network/privateEndpoints@2025-05-01"
  parent_id = var.place.group_id
  name      = var.link.name
  location  = var.place.location
  tags      = var.place.tags

  body = {
    properties = {
      subnet                     = { id = var.place.subnet_id }
      customNetworkInterfaceName = "nic-${var.link.name}"
      privateLinkServiceConnections = [{
        name       = var.link.name
        properties = { privateLinkServiceId = var.resource_id, groupIds = [var.link.group] }
      }]
    }
  }
}

resource "azapi_resource" "records" {
  type      = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01"
  parent_id = azapi_resource.endpoint.id
  name      = "default"

  body = {
    properties = {
      privateDnsZoneConfigs = [for zone in var.link.zones : {
        name       = replace(zone, ".", "-")
        properties = { privateDnsZoneId = "${var.place.zones_group_id}/providers/Microsoft.Network/privateDnsZones/${zone}" }
      }]
    }
  }
}

output "id" {
  value       = azapi_resource.endpoint.id
  description = "Resource id of the endpoint, when names lead to it."

  depends_on = [azapi_resource.records]
}
