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
    publicNetworkAccess: 'Enabled'
    systemDatastoresAuthMode: 'identity'
    v1LegacyMode: false
  }
}
