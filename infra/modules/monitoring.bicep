// Logs and telemetry, without keys.
import { tags as tagsOf } from 'types.bicep'

@description('Name of the Log Analytics workspace.')
param logsName string

@description('Name of Application Insights.')
param telemetryName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags tagsOf

@description('Days for which logs are kept.')
param retentionDays int

resource logs 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: logsName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

resource telemetry 'Microsoft.Insights/components@2020-02-02' = {
  name: telemetryName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
    DisableLocalAuth: true
  }
}

@description('The id by which queries name the Log Analytics workspace.')
output logsWorkspaceId string = logs.properties.customerId
