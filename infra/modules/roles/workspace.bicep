// Roles on the Azure ML workspace.
import { grant, principals } from '../types.bicep'

@description('Name of the workspace.')
param workspaceName string

@description('Rows of identities.yaml on this scope.')
param grants grant[]

@description('Principal ids by identity.')
param principalIds principals

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource given 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in grants: {
    name: guid(workspace.id, row.key, row.roleId)
    scope: workspace
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', row.roleId)
      principalId: principalIds[row.who]
      principalType: row.type
    }
  }
]
