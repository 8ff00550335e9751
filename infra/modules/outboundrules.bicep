// What the managed network of a workspace lets out beside what Azure ML itself asks for. One after another: each changes
// the same network.

@description('Name of the workspace.')
param workspaceName string

@description('Storage account of the data versions, which jobs read.')
param accountId string

@description('Hosts that jobs and image builds may reach; empty where the internet is open to them. Each costs a firewall.')
param hosts string[]

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource versions 'Microsoft.MachineLearningServices/workspaces/outboundRules@2025-12-01' = {
  parent: workspace
  name: 'driftloop-versions'
  properties: {
    type: 'PrivateEndpoint'
    category: 'UserDefined'
    destination: { serviceResourceId: accountId, subresourceTarget: 'blob', sparkEnabled: false }
  }
}

@batchSize(1)
resource packages 'Microsoft.MachineLearningServices/workspaces/outboundRules@2025-12-01' = [
  for (host, index) in hosts: {
    parent: workspace
    name: 'driftloop-packages-${index}'
    properties: { type: 'FQDN', category: 'UserDefined', destination: host }
    dependsOn: [versions]
  }
]
