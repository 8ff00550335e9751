// The action group that turns an alert into a hint in the queue. Azure Monitor signs in with a token of its own: no
// function key is part of an address. Whoever makes or changes it must own the app registration (docs/deploy.md).
import { tags as tagsOf } from 'types.bicep'

@description('Name of the action group.')
param name string

@description('Tags of every resource.')
param tags tagsOf

@description('Function App whose alert function is called.')
param appName string

@description('Client id of the app registration in front of the Function App.')
param authClientId string

@description('Object id of that app registration.')
param authObjectId string

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource hint 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'driftloop'
    enabled: true
    webhookReceivers: [
      {
        name: 'alert-function'
        serviceUri: 'https://${site.properties.defaultHostName}/api/alert'
        useCommonAlertSchema: true
        useAadAuth: true
        objectId: authObjectId
        identifierUri: 'api://${authClientId}'
        tenantId: tenant().tenantId
      }
    ]
  }
}
