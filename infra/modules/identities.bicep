// Identities that have their roles before the thing that uses them exists: the app, training nodes, endpoints, workspace.
import { principals, tags as tagsOf } from 'types.bicep'

@description('Names of the identities, by identity of identities.yaml.')
param names { app: string, compute: string, endpoint: string, workspace: string }

@description('Whether the workspace is made here, and so needs an identity.')
param hasWorkspace bool

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags tagsOf

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.app
  location: location
  tags: tags
}

resource compute 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.compute
  location: location
  tags: tags
}

resource endpoint 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.endpoint
  location: location
  tags: tags
}

resource workspace 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (hasWorkspace) {
  name: names.workspace
  location: location
  tags: tags
}

@description('Principal ids, by identity of identities.yaml.')
output principalIds principals = union(
  {
    app: app.properties.principalId
    compute: compute.properties.principalId
    endpoint: endpoint.properties.principalId
  },
  hasWorkspace ? { workspace: workspace!.properties.principalId } : {}
)
