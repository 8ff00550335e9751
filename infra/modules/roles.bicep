// Every role of every identity, straight from identities.yaml: what does not stand there is not given.

@description('Storage account of the data, the state and the queue.')
param storageAccountName string

@description('Azure ML workspace.')
param workspaceName string

@description('The workspace\'s own storage account.')
param workspaceStorageName string

@description('The workspace\'s own GUID.')
param workspaceGuid string

@description('Container registry of the images.')
param registryName string

@description('Our Event Grid topic.')
param topicName string

@description('Log Analytics workspace.')
param logsName string

@description('Application Insights.')
param applicationInsightsName string

@description('Identity of the endpoints.')
param endpointIdentityName string

@description('Principal of the Function App.')
param appId string

@description('Principal of the system topic of blob events.')
param blobEventsId string

@description('Principal of the system topic of the workspace.')
param workspaceEventsId string

@description('Principal of the training nodes.')
param computeId string

@description('Principal of the endpoints.')
param endpointId string

@description('Principal of the person or CI that publishes; nobody when empty.')
param publisherId string

@description('What the publisher is in Microsoft Entra.')
param publisherType string

var table = loadYamlContent('../identities.yaml')
var definitions = loadYamlContent('../roles.yaml')
var principals = {
  app: appId
  'blob-events': blobEventsId
  'workspace-events': workspaceEventsId
  compute: computeId
  endpoint: endpointId
  publisher: publisherId
}

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource versions 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: blobs
  name: 'versions'
}

resource deadLetter 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: blobs
  name: 'dead-letter'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' existing = {
  parent: queues
  name: 'driftloop-events'
}

resource workspaceAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: workspaceStorageName
}

resource workspaceBlobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: workspaceAccount
  name: 'default'
}

resource outputs 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: workspaceBlobs
  name: 'azureml-blobstore-${workspaceGuid}'
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = {
  name: workspaceName
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: logsName
}

resource telemetry 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource endpointIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: endpointIdentityName
}

resource onAccount 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'account'): if (!empty(principals[grant.who])) {
    name: guid(account.id, principals[grant.who], grant.role)
    scope: account
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onVersions 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'versions'): if (!empty(principals[grant.who])) {
    name: guid(versions.id, principals[grant.who], grant.role)
    scope: versions
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onDeadLetter 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'dead-letter'): if (!empty(principals[grant.who])) {
    name: guid(deadLetter.id, principals[grant.who], grant.role)
    scope: deadLetter
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'queue'): if (!empty(principals[grant.who])) {
    name: guid(queue.id, principals[grant.who], grant.role)
    scope: queue
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onOutputs 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'outputs'): if (!empty(principals[grant.who])) {
    name: guid(outputs.id, principals[grant.who], grant.role)
    scope: outputs
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'workspace'): if (!empty(principals[grant.who])) {
    name: guid(workspace.id, principals[grant.who], grant.role)
    scope: workspace
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'registry'): if (!empty(principals[grant.who])) {
    name: guid(registry.id, principals[grant.who], grant.role)
    scope: registry
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onTopic 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'topic'): if (!empty(principals[grant.who])) {
    name: guid(topic.id, principals[grant.who], grant.role)
    scope: topic
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onLogs 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'logs'): if (!empty(principals[grant.who])) {
    name: guid(logs.id, principals[grant.who], grant.role)
    scope: logs
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'telemetry'): if (!empty(principals[grant.who])) {
    name: guid(telemetry.id, principals[grant.who], grant.role)
    scope: telemetry
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]

resource onEndpointIdentity 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in filter(table.grants, grant => grant.scope == 'endpoint-identity'): if (!empty(principals[grant.who])) {
    name: guid(endpointIdentity.id, principals[grant.who], grant.role)
    scope: endpointIdentity
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[grant.role].id)
      principalId: principals[grant.who]
      principalType: grant.who == 'publisher' ? publisherType : 'ServicePrincipal'
    }
  }
]
