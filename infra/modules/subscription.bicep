// A subscription of a system topic: straight into the storage queue, by the topic's own identity; what cannot be
// delivered is kept. Event Grid checks its rights when this is made, so the roles come first.

@description('System topic.')
param systemTopicName string

@description('Name of the subscription.')
param name string

@description('Resource id of the account of the queue and of the dead-letter container.')
param accountId string

@description('Types of the events that are passed on.')
param eventTypes string[]

@description('Containers whose blobs are passed on; empty: no filter on the subject.')
param containers string[] = []

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: systemTopicName
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: name
  properties: {
    deliveryWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      destination: {
        endpointType: 'StorageQueue'
        properties: {
          resourceId: accountId
          queueName: 'driftloop-events'
          queueMessageTimeToLiveInSeconds: 604800
        }
      }
    }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: accountId
          blobContainerName: 'dead-letter'
        }
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
    filter: {
      includedEventTypes: eventTypes
      enableAdvancedFilteringOnArrays: true
      advancedFilters: empty(containers)
        ? []
        : [
            {
              operatorType: 'StringBeginsWith'
              key: 'subject'
              values: map(containers, container => '/blobServices/default/containers/${container}/')
            }
          ]
    }
  }
}
