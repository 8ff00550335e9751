// Roles on our Event Grid topic.
import { grant, principals } from '../types.bicep'

@description('Name of the topic.')
param topicName string

@description('Rows of identities.yaml on this scope.')
param grants grant[]

@description('Principal ids by identity.')
param principalIds principals

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

resource given 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in grants: {
    name: guid(topic.id, row.key, row.roleId)
    scope: topic
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', row.roleId)
      principalId: principalIds[row.who]
      principalType: row.type
    }
  }
]
