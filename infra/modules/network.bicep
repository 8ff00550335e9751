// The virtual network of a private deployment: a subnet that the app goes out through, and one of private endpoints.
import { tags as tagsOf } from 'types.bicep'

@description('Name of the virtual network.')
param name string

@description('Azure region; the app must be in the same one.')
param location string

@description('Tags of every resource.')
param tags tagsOf

@description('Address range of the network; each subnet takes a /26 of it.')
param addresses string

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addresses] }
    subnets: [
      {
        // Flex Consumption's; it may hold nothing else, and its size cannot be changed once it is used.
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addresses, 26, 0)
          delegations: [
            { name: 'flex-consumption', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addresses, 26, 1)
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}
