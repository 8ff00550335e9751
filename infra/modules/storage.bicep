// Our storage account, reached by identity only: landing, versions that nobody can change, state, the queues.
import { firewall as firewallOf, tags as tagsOf } from 'types.bicep'

@minLength(3)
@maxLength(24)
@description('Name of the storage account, unique in all of Azure.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags tagsOf

@description('Days for which a data version can be neither changed nor deleted.')
param versionsImmutableDays int

@description('Redundancy of the account.')
param redundancy string

@description('Its firewall. Event Grid comes in as a trusted service, whatever is closed.')
param firewall firewallOf

// shared/wiring.py and the loops' files name these; the dead-letter container is Event Grid's, app-package the platform's.
var containers = [
  'landing'
  'labels'
  'documents'
  'quarantine'
  'readings'
  'dead-letter'
  'app-package'
]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
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
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 14 }
    containerDeleteRetentionPolicy: { enabled: true, days: 14 }
  }
}

resource plain 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for container in containers: {
    parent: blobs
    name: container
    properties: { publicAccess: 'None' }
  }
]

resource versions 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'versions'
  properties: { publicAccess: 'None' }
}

// Unlocked: an administrator can still lift it. Locking cannot be undone, so it is a person's decision (docs/deploy.md).
resource immutable 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = {
  parent: versions
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: versionsImmutableDays
    allowProtectedAppendWrites: false
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

// Event Grid fills the first; the app names in the second which loops are to be run.
resource waiting 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for queue in ['driftloop-events', 'driftloop-events-poison', 'driftloop-runs', 'driftloop-runs-poison']: {
    parent: queues
    name: queue
  }
]

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource state 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = {
  parent: tables
  name: 'driftloop'
}
