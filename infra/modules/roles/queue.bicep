// Roles on a queue.
import { grant, principals } from '../types.bicep'

@description('Name of the storage account.')
param accountName string

@description('Name of the queue.')
param queueName string

@description('Rows of identities.yaml on this scope.')
param grants grant[]

@description('Principal ids by identity.')
param principalIds principals

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName

  resource queues 'queueServices' existing = {
    name: 'default'

    resource queue 'queues' existing = {
      name: queueName
    }
  }
}

resource given 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in grants: {
    name: guid(account::queues::queue.id, row.key, row.roleId)
    scope: account::queues::queue
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', row.roleId)
      principalId: principalIds[row.who]
      principalType: row.type
    }
  }
]
