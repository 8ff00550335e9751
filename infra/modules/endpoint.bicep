// What an endpoint that exists needs beside it: its traffic log, without which a canary holds, and an error alert.
// The endpoint itself is Driftloop's: a template that wrote it would take its traffic away.

@description('Name of the online endpoint.')
param endpointName string

@description('Workspace that has it.')
param workspaceName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Log Analytics workspace that gets the logs.')
param logsId string

@description('Action group that tells the loop.')
param actionGroupId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = {
  name: workspaceName
}

resource endpoint 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints@2024-10-01' existing = {
  parent: workspace
  name: endpointName
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'driftloop'
  scope: endpoint
  properties: {
    workspaceId: logsId
    logs: [
      { category: 'AmlOnlineEndpointTrafficLog', enabled: true }
      { category: 'AmlOnlineEndpointEventLog', enabled: true }
    ]
  }
}

resource errors 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${endpointName}-errors'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${endpointName}-errors'
    description: 'More than one in twenty requests failed. A loop with retrain.alerts naming this rule takes it as a reason.'
    enabled: true
    severity: 2
    scopes: [logsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    autoMitigate: true
    // The table is there only once a first row was written.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: 'AmlOnlineEndpointTrafficLog | where EndpointName == "${endpointName}" | summarize Share = 100.0 * countif(toint(ResponseCode) >= 500) / count()'
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'Share'
          operator: 'GreaterThan'
          threshold: 5
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [actionGroupId] }
  }
}
