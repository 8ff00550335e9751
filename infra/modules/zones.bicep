// Private DNS zones, and their links to the network: names of services resolve to the private endpoints within it.
import { tags as tagsOf } from 'types.bicep'

@description('Names of the zones.')
param names string[]

@description('Resource id of the virtual network in which they are asked.')
param networkId string

@description('Tags of every resource.')
param tags tagsOf

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for name in names: {
    name: name
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (name, index) in names: {
    parent: zones[index]
    name: last(split(networkId, '/'))
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]
