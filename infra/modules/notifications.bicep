// Sends what needs a person to one address. An example: whoever wants other events makes a subscription of their own.

@description('Our topic.')
param topicName string

@secure()
@description('HTTPS address that answers the handshake of CloudEvents webhooks. Its query may hold a key.')
param webhookUrl string

resource told 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

resource people 'Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15' = {
  parent: told
  name: 'driftloop-needs-a-person'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: webhookUrl
        minimumTlsVersionAllowed: '1.2'
        maxEventsPerBatch: 1
      }
    }
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
    filter: {
      // Those that docs/events.md marks.
      includedEventTypes: [
        'Driftloop.Drop.Quarantined'
        'Driftloop.Source.GivenUp'
        'Driftloop.Release.AwaitingApproval'
        'Driftloop.Release.Holding'
        'Driftloop.Release.RollingBack'
        'Driftloop.Release.Failed'
        'Driftloop.Traffic.Adopted'
        'Driftloop.Serving.Lost'
      ]
    }
  }
}
