// Private endpoints, each with its records in the DNS zones.
import { link, tags as tagsOf } from 'types.bicep'

@description('What is to be reached.')
param links link[]

@description('Subnet of the endpoints.')
param subnetId string

@description('Resource id of the resource group that has the DNS zones.')
param zonesGroupId string

@description('Azure region of the network.')
param location string

@description('Tags of every resource.')
param tags tagsOf

resource endpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for one in links: {
    name: one.name
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      customNetworkInterfaceName: 'nic-${one.name}'
      privateLinkServiceConnections: [
        {
          name: one.name
          properties: { privateLinkServiceId: one.resourceId, groupIds: [one.group] }
        }
      ]
    }
  }
]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (one, index) in links: {
    parent: endpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: map(one.zones, zone => {
        name: replace(zone, '.', '-')
        properties: { privateDnsZoneId: '${zonesGroupId}/providers/Microsoft.Network/privateDnsZones/${zone}' }
      })
    }
  }
]
