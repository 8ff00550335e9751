// A new Azure ML workspace without keys. Its identity is made, and has its roles, before it.
import { tags as tagsOf } from 'types.bicep'

@description('Name of the workspace.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags tagsOf

@description('Resource id of its identity. With a system-assigned one Azure would give it a role on the whole resource group.')
param identityId string

@description('Resource id of its own storage account.')
param accountId string

@description('Resource id of its key vault.')
param vaultId string

@description('Resource id of its container registry.')
param registryId string

@description('Resource id of Application Insights.')
param telemetryId string

@description('What its managed network lets out, in a private deployment; empty: it has none, and a public address.')
param outbound 'internet' | 'approved' | ''

// A registry behind a private endpoint cannot build images: the cluster does. The network is made at once, as an endpoint's
// first deployment would not make it.
var network = {
  managedNetwork: {
    isolationMode: outbound == 'approved' ? 'AllowOnlyApprovedOutbound' : 'AllowInternetOutbound'
    ...(outbound == 'approved' ? { firewallSku: 'Basic' } : {})
  }
  provisionNetworkNow: true
  imageBuildCompute: 'driftloop-cpu'
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  sku: { name: 'Basic', tier: 'Basic' }
  properties: {
    friendlyName: 'Driftloop'
    storageAccount: accountId
    keyVault: vaultId
    applicationInsights: telemetryId
    containerRegistry: registryId
    primaryUserAssignedIdentity: identityId
    publicNetworkAccess: empty(outbound) ? 'Enabled' : 'Disabled'
    systemDatastoresAuthMode: 'identity'
    v1LegacyMode: false
    ...(empty(outbound) ? {} : network)
  }
}
