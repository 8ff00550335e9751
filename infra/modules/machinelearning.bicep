// The Azure ML workspace, new or existing, its datastore over the data versions, and a cluster that scales to zero.

@description('Unique part of names.')
param token string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Name of a workspace to use; a new one is made when empty.')
param existingWorkspaceName string

@description('Storage account of the data versions, and of a new workspace.')
param storageAccountName string

@description('Application Insights of a new workspace.')
param applicationInsightsId string

@description('Identity of the training nodes.')
param computeIdentityId string

@description('Size of the training nodes.')
param trainingVmSize string

@description('Most training nodes; 0 makes no cluster.')
param trainingMaxNodes int

var isNew = empty(existingWorkspaceName)
var workspaceName = isNew ? 'mlw-${token}' : existingWorkspaceName

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = if (isNew) {
  name: 'kv-${token}'
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enablePurgeProtection: true
    enableSoftDelete: true
  }
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = if (isNew) {
  name: 'cr${token}'
  location: location
  tags: tags
  sku: { name: 'Basic' }
  properties: { adminUserEnabled: false, anonymousPullEnabled: false }
}

resource made 'Microsoft.MachineLearningServices/workspaces@2024-10-01' = if (isNew) {
  name: 'mlw-${token}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  sku: { name: 'Basic', tier: 'Basic' }
  properties: {
    friendlyName: 'Driftloop'
    storageAccount: account.id
    keyVault: vault.id
    applicationInsights: applicationInsightsId
    containerRegistry: registry.id
    publicNetworkAccess: 'Enabled'
    systemDatastoresAuthMode: 'identity'
    v1LegacyMode: false
  }
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = {
  name: workspaceName
}

resource versions 'Microsoft.MachineLearningServices/workspaces/datastores@2024-10-01' = {
  parent: workspace
  name: 'driftloop_versions'
  properties: {
    datastoreType: 'AzureBlob'
    description: 'The immutable data versions of Driftloop'
    accountName: account.name
    containerName: 'versions'
    endpoint: environment().suffixes.storage
    protocol: 'https'
    credentials: { credentialsType: 'None' }
    serviceDataAccessAuthIdentity: 'None'
  }
  dependsOn: [made]
}

resource cluster 'Microsoft.MachineLearningServices/workspaces/computes@2024-10-01' = if (trainingMaxNodes > 0) {
  parent: workspace
  name: 'driftloop-cpu'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${computeIdentityId}': {} }
  }
  properties: {
    computeType: 'AmlCompute'
    disableLocalAuth: true
    properties: {
      vmSize: trainingVmSize
      vmPriority: 'Dedicated'
      remoteLoginPortPublicAccess: 'Disabled'
      scaleSettings: {
        minNodeCount: 0
        maxNodeCount: trainingMaxNodes
        nodeIdleTimeBeforeScaleDown: 'PT2M'
      }
    }
  }
  dependsOn: [made]
}

@description('Resource id of the workspace.')
output workspaceId string = isNew ? made.id : workspace.id

@description('Name of the workspace.')
output workspaceName string = workspaceName

@description('The workspace\'s own GUID; its default container bears it.')
output workspaceGuid string = isNew ? made!.properties.workspaceId : workspace.properties.workspaceId

@description('Name of the workspace\'s own storage account, where jobs write and the collector writes.')
output workspaceStorageName string = last(split(isNew ? account.id : workspace.properties.storageAccount, '/'))

@description('Name of the container registry of the images.')
output registryName string = last(split(isNew ? registry.id : workspace.properties.containerRegistry, '/'))
