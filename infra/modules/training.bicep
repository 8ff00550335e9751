// What Driftloop adds to a workspace, new or existing: a datastore over the data versions, and a cluster that scales to zero.
import { tags as tagsOf } from 'types.bicep'

@description('Name of the workspace.')
param workspaceName string

@description('Region of the workspace.')
param location string

@description('Tags of every resource.')
param tags tagsOf

@description('Storage account of the data versions.')
param accountName string

@description('Resource id of the identity of the training nodes.')
param computeIdentityId string

@description('Size of the training nodes.')
param vmSize string

@minValue(0)
@description('Most training nodes; 0 makes no cluster.')
param maxNodes int

@description('Whether the workspace has a managed network, in which nodes need no public address.')
param hasManagedNetwork bool

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource versions 'Microsoft.MachineLearningServices/workspaces/datastores@2025-12-01' = {
  parent: workspace
  name: 'driftloop_versions'
  properties: {
    datastoreType: 'AzureBlob'
    description: 'The immutable data versions of Driftloop'
    accountName: accountName
    containerName: 'versions'
    endpoint: environment().suffixes.storage
    protocol: 'https'
    credentials: { credentialsType: 'None' }
    serviceDataAccessAuthIdentity: 'None'
  }
}

resource cluster 'Microsoft.MachineLearningServices/workspaces/computes@2025-12-01' = if (maxNodes > 0) {
  parent: workspace
  name: 'driftloop-cpu'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${computeIdentityId}': {} }
  }
  properties: {
    computeType: 'AmlCompute'
    disableLocalAuth: true
    properties: {
      ...(hasManagedNetwork ? { enableNodePublicIp: false } : {})
      vmSize: vmSize
      vmPriority: 'Dedicated'
      remoteLoginPortPublicAccess: 'Disabled'
      scaleSettings: {
        minNodeCount: 0
        maxNodeCount: maxNodes
        nodeIdleTimeBeforeScaleDown: 'PT2M'
      }
    }
  }
}
