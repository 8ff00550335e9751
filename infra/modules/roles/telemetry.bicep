// Roles on Application Insights.
import { grant, principals } from '../types.bicep'

@description('Name of Application Insights.')
param telemetryName string

@description('Rows of identities.yaml on this scope.')
param grants grant[]

@description('Principal ids by identity.')
param principalIds principals

resource telemetry 'Microsoft.Insights/components@2020-02-02' existing = {
  name: telemetryName
}

resource given 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in grants: {
    name: guid(telemetry.id, row.key, row.roleId)
    scope: telemetry
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', row.roleId)
      principalId: principalIds[row.who]
      principalType: row.type
    }
  }
]
