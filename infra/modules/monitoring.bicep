// Logs, telemetry, and the action group that turns an alert into a hint in the queue.

@description('Unique part of names.')
param token string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Days for which logs are kept.')
param retentionDays int

@description('Host name of the Function App, whose alert function the action group calls.')
param appHostName string

@description('Client id of the app registration in front of the Function App.')
param authClientId string

@description('Object id of that app registration.')
param authObjectId string

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${token}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

resource telemetry 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
    DisableLocalAuth: true
  }
}

// Azure Monitor signs in with a token of its own: no function key stands in an address.
resource hint 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'driftloop-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'driftloop'
    enabled: true
    webhookReceivers: [
      {
        name: 'alert-function'
        serviceUri: 'https://${appHostName}/api/alert'
        useCommonAlertSchema: true
        useAadAuth: true
        objectId: authObjectId
        identifierUri: 'api://${authClientId}'
        tenantId: tenant().tenantId
      }
    ]
  }
}

@description('Resource id of the Log Analytics workspace.')
output logsId string = logs.id

@description('Name of the Log Analytics workspace.')
output logsName string = logs.name

@description('The id by which queries name the Log Analytics workspace.')
output logsWorkspaceId string = logs.properties.customerId

@description('Resource id of Application Insights.')
output applicationInsightsId string = telemetry.id

@description('Name of Application Insights.')
output applicationInsightsName string = telemetry.name

@description('Resource id of the action group on the alert function: name it in alert rules of your own.')
output actionGroupId string = hint.id
