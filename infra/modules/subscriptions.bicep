// Events go straight into the storage queue, by each topic's own identity; what cannot be delivered is kept.

@description('Account of the queue and of the dead-letter container.')
param storageAccountName string

@description('System topic of blob events.')
param blobEventsName string

@description('System topic of the workspace.')
param workspaceEventsName string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource blobEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: blobEventsName
}

resource workspaceEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: workspaceEventsName
}

var delivery = {
  identity: { type: 'SystemAssigned' }
  destination: {
    endpointType: 'StorageQueue'
    properties: {
      resourceId: account.id
      queueName: 'driftloop-events'
      queueMessageTimeToLiveInSeconds: 604800
    }
  }
}
var undelivered = {
  identity: { type: 'SystemAssigned' }
  deadLetterDestination: {
    endpointType: 'StorageBlob'
    properties: {
      resourceId: account.id
      blobContainerName: 'dead-letter'
    }
  }
}
var retries = { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }

resource blobs 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: blobEvents
  name: 'driftloop-blobs'
  properties: {
    deliveryWithResourceIdentity: delivery
    deadLetterWithResourceIdentity: undelivered
    eventDeliverySchema: 'EventGridSchema'
    retryPolicy: retries
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      enableAdvancedFilteringOnArrays: true
      advancedFilters: [
        {
          operatorType: 'StringBeginsWith'
          key: 'subject'
          values: [
            '/blobServices/default/containers/landing/'
            '/blobServices/default/containers/labels/'
          ]
        }
      ]
    }
  }
}

resource workspace 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: workspaceEvents
  name: 'driftloop-workspace'
  properties: {
    deliveryWithResourceIdentity: delivery
    deadLetterWithResourceIdentity: undelivered
    eventDeliverySchema: 'EventGridSchema'
    retryPolicy: retries
    filter: {
      includedEventTypes: [
        'Microsoft.MachineLearningServices.RunStatusChanged'
        'Microsoft.MachineLearningServices.RunCompleted'
        'Microsoft.MachineLearningServices.DatasetDriftDetected'
      ]
    }
  }
}
