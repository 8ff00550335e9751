// Roles on a private endpoint.
import { grant, principals } from '../types.bicep'

@description('Name of the private endpoint.')
param endpointName string

@description('Rows of identities.yaml on this scope.')
param grants grant[]

@description('Principal ids by identity.')
param principalIds principals

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' existing = {
  name: endpointName
}

resource given 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in grants: {
    name: guid(endpoint.id, row.key, row.roleId)
    scope: endpoint
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', row.roleId)
      principalId: principalIds[row.who]
      principalType: row.type
    }
  }
]
