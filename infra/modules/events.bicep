// The topics: blob events, the workspace's events, and ours. Azure allows one system topic a source, so that one
// which exists already is used as it is; it needs a system-assigned identity of its own.
import { principals, tags as tagsOf } from 'types.bicep'

@description('Name of our topic.')
param topicName string

@description('Names of the two system topics, where they are made.')
param systemTopicNames { blobs: string, workspace: string }

@description('Resource ids of system topics that exist; empty: made here.')
param existing { blobs: string, workspace: string }

@description('Azure region.')
param location string

@description('Region of the workspace, and so of its system topic.')
param workspaceLocation string

@description('Tags of every resource.')
param tags tagsOf

@description('Resource id of the account whose blob events are taken.')
param accountId string

@description('Resource id of the workspace whose events are taken.')
param workspaceId string

@description('Whether our topic takes events by its private endpoint alone. What it sends leaves from Azure\'s side all the same.')
param isPrivate bool

resource blobEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existing.blobs)) {
  name: systemTopicNames.blobs
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: accountId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource workspaceEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existing.workspace)) {
  name: systemTopicNames.workspace
  location: workspaceLocation
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: workspaceId
    topicType: 'Microsoft.MachineLearningServices.Workspaces'
  }
}

resource theirBlobEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (!empty(existing.blobs)) {
  name: last(split(existing.blobs, '/'))
  scope: resourceGroup(split(existing.blobs, '/')[?4] ?? resourceGroup().name)
}

resource theirWorkspaceEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (!empty(existing.workspace)) {
  name: last(split(existing.workspace, '/'))
  scope: resourceGroup(split(existing.workspace, '/')[?4] ?? resourceGroup().name)
}

// Every change of a loop is published here. Whoever wants to listen makes a subscription of their own.
resource published 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: topicName
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

@description('Principal ids, by identity of identities.yaml.')
output principalIds principals = {
  'blob-events': empty(existing.blobs) ? blobEvents!.identity.principalId : theirBlobEvents!.identity.principalId
  'workspace-events': empty(existing.workspace)
    ? workspaceEvents!.identity.principalId
    : theirWorkspaceEvents!.identity.principalId
}

@description('Address to which our events are sent.')
output topicEndpoint string = published.properties.endpoint
