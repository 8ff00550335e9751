// Identities that must have their roles before the thing that uses them exists: training nodes and endpoints.

@description('Unique part of names.')
param token string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

resource compute 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-compute-${token}'
  location: location
  tags: tags
}

resource endpoint 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-endpoint-${token}'
  location: location
  tags: tags
}

@description('Resource id of the identity of the training nodes.')
output computeId string = compute.id

@description('Principal id of the identity of the training nodes.')
output computePrincipalId string = compute.properties.principalId

@description('Resource id of the identity of the endpoints.')
output endpointId string = endpoint.id

@description('Name of the identity of the endpoints.')
output endpointName string = endpoint.name

@description('Principal id of the identity of the endpoints.')
output endpointPrincipalId string = endpoint.properties.principalId
