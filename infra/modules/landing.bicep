// The events of a storage account of somebody else, in which drops land: the one system topic that Azure allows it,
// what that may do with our queue, and the subscription.
import { grant, principals, tags as tagsOf } from 'types.bicep'

@description('Name of the system topic.')
param topicName string

@description('Whether there is one, which is used as it is; it needs a system-assigned identity.')
param exists bool

@description('Region of the account, and so of its topic.')
param location string

@description('Tags of the topic, where it is made.')
param tags tagsOf

@description('Resource id of the account whose events are taken.')
param sourceId string

@description('Containers of it in which drops land.')
param containers string[]

@description('Name of the subscription.')
param name string

@description('Our storage account, which has the queue.')
param account { subscriptionId: string, group: string, name: string, id: string }

@description('Rows of identities.yaml for the topic\'s identity.')
param grants grant[]

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!exists) {
  name: topicName
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: sourceId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource theirs 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (exists) {
  name: topicName
}

var principalIds principals = {
  'landing-events': exists ? theirs!.identity.principalId : made!.identity.principalId
}

module rolesOnQueue 'roles/queue.bicep' = {
  name: 'roles-queue-${topicName}'
  scope: resourceGroup(account.subscriptionId, account.group)
  params: {
    accountName: account.name
    queueName: 'driftloop-events'
    grants: filter(grants, grant => grant.scope == 'queue')
    principalIds: principalIds
  }
}

module rolesOnDeadLetters 'roles/container.bicep' = {
  name: 'roles-dead-letter-${topicName}'
  scope: resourceGroup(account.subscriptionId, account.group)
  params: {
    accountName: account.name
    containerName: 'dead-letter'
    grants: filter(grants, grant => grant.scope == 'dead-letter')
    principalIds: principalIds
  }
}

// An account with folders tells of a rename alone what is there then; one without never renames.
module subscription 'subscription.bicep' = {
  name: name
  params: {
    systemTopicName: topicName
    name: name
    accountId: account.id
    eventTypes: [
      'Microsoft.Storage.BlobCreated'
      'Microsoft.Storage.BlobRenamed'
      'Microsoft.Storage.DirectoryRenamed'
    ]
    containers: containers
  }
  dependsOn: [rolesOnQueue, rolesOnDeadLetters]
}
