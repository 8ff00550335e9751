// The topics: blob events, the workspace's events, and ours. Each system topic has an identity of its own.

@description('Unique part of names.')
param token string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Account whose blob events are taken.')
param storageAccountName string

@description('Resource id of the workspace whose events are taken.')
param workspaceId string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource blobEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgst-blobs-${token}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource workspaceEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgst-workspace-${token}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: workspaceId
    topicType: 'Microsoft.MachineLearningServices.Workspaces'
  }
}

// Every change of a loop is told here. Who wants to listen makes a subscription of his own.
resource told 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: 'evgt-${token}'
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

@description('Name of the system topic of blob events.')
output blobEventsName string = blobEvents.name

@description('Principal id of the system topic of blob events.')
output blobEventsPrincipalId string = blobEvents.identity.principalId

@description('Name of the system topic of the workspace.')
output workspaceEventsName string = workspaceEvents.name

@description('Principal id of the system topic of the workspace.')
output workspaceEventsPrincipalId string = workspaceEvents.identity.principalId

@description('Name of our topic.')
output topicName string = told.name

@description('Address to which our events are sent.')
output topicEndpoint string = told.properties.endpoint
