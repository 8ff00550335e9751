// Switches on the traffic log of an endpoint that exists. The endpoint itself is Driftloop's: a template that wrote it
// would take its traffic away.

@description('Name of the online endpoint.')
param endpointName string

@description('Workspace that has it.')
param workspaceName string

@description('Log Analytics workspace that gets the logs.')
param logsId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName

  resource endpoint 'onlineEndpoints' existing = {
    name: endpointName
  }
}

// What counts as newer, 2016-09-01, has another shape.
#disable-next-line use-recent-api-versions
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'driftloop'
  scope: workspace::endpoint
  properties: {
    workspaceId: logsId
    logs: [
      { category: 'AmlOnlineEndpointTrafficLog', enabled: true }
      { category: 'AmlOnlineEndpointEventLog', enabled: true }
    ]
  }
}
