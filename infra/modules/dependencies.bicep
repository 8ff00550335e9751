// What a new workspace stands on, apart from ours: its own storage account, key vault and container registry.
// Its identity may do everything with these, so nothing of ours is in them.
import { firewall as firewallOf, tags as tagsOf } from 'types.bicep'

@minLength(3)
@maxLength(24)
@description('Name of the workspace\'s storage account.')
param accountName string

@minLength(3)
@maxLength(24)
@description('Name of the key vault.')
param vaultName string

@minLength(5)
@maxLength(50)
@description('Name of the container registry.')
param registryName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags tagsOf

@description('Redundancy of the storage account.')
param redundancy string

@description('Whether they are reached by private endpoints alone.')
param isPrivate bool

var firewall firewallOf = isPrivate
  ? { publicNetworkAccess: 'Disabled', defaultAction: 'Deny' }
  : { publicNetworkAccess: 'Enabled', defaultAction: 'Allow' }

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: accountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: firewall.publicNetworkAccess
    networkAcls: { defaultAction: firewall.defaultAction, bypass: 'AzureServices' }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: 14 }
      containerDeleteRetentionPolicy: { enabled: true, days: 14 }
    }
  }
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: vaultName
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enablePurgeProtection: true
    enableSoftDelete: true
    ...(isPrivate
      ? { publicNetworkAccess: 'Disabled', networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices' } }
      : {})
  }
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: registryName
  location: location
  tags: tags
  // Private endpoints want Premium.
  sku: { name: isPrivate ? 'Premium' : 'Basic' }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    ...(isPrivate ? { publicNetworkAccess: 'Disabled', networkRuleBypassOptions: 'AzureServices' } : {})
  }
}
