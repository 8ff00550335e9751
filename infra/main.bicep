// Everything that Driftloop needs on Azure, in one resource group, without a key.
// Who may do what stands in identities.yaml; names and settings are read back by `driftloop doctor`.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment; it is part of the resource group\'s name and seeds the names of all resources.')
param environmentName string

@minLength(1)
@description('Azure region of all resources. It must offer Flex Consumption and managed online endpoints.')
param location string

@description('Resource group; made from the environment\'s name when empty. Name it to use a workspace that exists there.')
param resourceGroupName string = ''

@description('Name of an Azure ML workspace in that resource group that is used instead of a new one. It must be keyless.')
param existingWorkspaceName string = ''

@description('Object id of the person or service principal that publishes loops and runs `driftloop doctor`. Empty: nobody gets roles.')
param publisherId string = ''

@allowed(['User', 'ServicePrincipal', 'Group'])
@description('What the publisher is in Microsoft Entra.')
param publisherType string = 'User'

@minLength(1)
@description('Client id of the app registration in front of the Function App; infra/register-app.sh makes it.')
param authClientId string

@minLength(1)
@description('Object id of that app registration; Azure Monitor\'s action group asks for tokens with it.')
param authObjectId string

@description('Names of the online endpoints that exist already, separated by commas: their traffic logs and error alerts are switched on.')
param endpoints string = ''

@allowed(['3.11', '3.12', '3.13'])
@description('Python of the Function App; requirements.lock has hashes for each of these.')
param pythonVersion string = '3.12'

@minValue(1)
@maxValue(146000)
@description('Days for which a blob in the container of data versions can be neither changed nor deleted.')
param versionsImmutableDays int = 365

@minValue(30)
@maxValue(730)
@description('Days for which logs are kept in Log Analytics.')
param logRetentionDays int = 30

@description('When the tick runs: six-field NCRONTAB in UTC.')
param tickSchedule string = '*/30 * * * * *'

@description('When the sweep runs: six-field NCRONTAB in UTC.')
param sweepSchedule string = '0 */10 * * * *'

@description('Size of the nodes of the training cluster, which scales to zero.')
param trainingVmSize string = 'Standard_DS3_v2'

@minValue(0)
@description('Most nodes of the training cluster; 0 makes no cluster, for loops that train on serverless compute.')
param trainingMaxNodes int = 2

@secure()
@description('HTTPS address that is told when a loop needs a person; it answers the handshake of CloudEvents webhooks. Empty: nobody is told.')
param notifyWebhookUrl string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var groupName = empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: groupName
  location: location
  tags: tags
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    versionsImmutableDays: versionsImmutableDays
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    retentionDays: logRetentionDays
    appHostName: 'func-${token}.azurewebsites.net'
    authClientId: authClientId
    authObjectId: authObjectId
  }
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
  }
}

module machinelearning 'modules/machinelearning.bicep' = {
  name: 'machinelearning'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    existingWorkspaceName: existingWorkspaceName
    storageAccountName: storage.outputs.accountName
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    computeIdentityId: identities.outputs.computeId
    trainingVmSize: trainingVmSize
    trainingMaxNodes: trainingMaxNodes
  }
}

module events 'modules/events.bicep' = {
  name: 'events'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    storageAccountName: storage.outputs.accountName
    workspaceId: machinelearning.outputs.workspaceId
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-${token}'
    location: location
    tags: union(tags, { 'azd-service-name': 'app' })
    pythonVersion: pythonVersion
    storageAccountName: storage.outputs.accountName
    workspaceName: machinelearning.outputs.workspaceName
    topicEndpoint: events.outputs.topicEndpoint
    logsWorkspaceId: monitoring.outputs.logsWorkspaceId
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    endpointIdentityId: identities.outputs.endpointId
    tickSchedule: tickSchedule
    sweepSchedule: sweepSchedule
  }
}

module authentication 'modules/authentication.bicep' = {
  name: 'authentication'
  scope: group
  params: {
    appName: app.outputs.name
    authClientId: authClientId
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    storageAccountName: storage.outputs.accountName
    workspaceName: machinelearning.outputs.workspaceName
    workspaceStorageName: machinelearning.outputs.workspaceStorageName
    workspaceGuid: machinelearning.outputs.workspaceGuid
    registryName: machinelearning.outputs.registryName
    topicName: events.outputs.topicName
    logsName: monitoring.outputs.logsName
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    endpointIdentityName: identities.outputs.endpointName
    appId: app.outputs.principalId
    blobEventsId: events.outputs.blobEventsPrincipalId
    workspaceEventsId: events.outputs.workspaceEventsPrincipalId
    computeId: identities.outputs.computePrincipalId
    endpointId: identities.outputs.endpointPrincipalId
    publisherId: publisherId
    publisherType: publisherType
  }
}

// Event Grid checks its rights when a subscription is made, so these come after the roles.
module subscriptions 'modules/subscriptions.bicep' = {
  name: 'subscriptions'
  scope: group
  params: {
    storageAccountName: storage.outputs.accountName
    blobEventsName: events.outputs.blobEventsName
    workspaceEventsName: events.outputs.workspaceEventsName
  }
  dependsOn: [roles]
}

module notifications 'modules/notifications.bicep' = if (!empty(notifyWebhookUrl)) {
  name: 'notifications'
  scope: group
  params: {
    topicName: events.outputs.topicName
    webhookUrl: notifyWebhookUrl
  }
}

module served 'modules/endpoint.bicep' = [
  for endpoint in filter(split(endpoints, ','), name => !empty(name)): {
    name: 'endpoint-${endpoint}'
    scope: group
    params: {
      endpointName: endpoint
      workspaceName: machinelearning.outputs.workspaceName
      location: location
      tags: tags
      logsId: monitoring.outputs.logsId
      actionGroupId: monitoring.outputs.actionGroupId
    }
  }
]

// What `driftloop` needs on a person's machine or in CI; `azd env get-values` prints them.
output AZURE_RESOURCE_GROUP string = groupName
output DRIFTLOOP_STORAGE__blobServiceUri string = storage.outputs.blobUri
output DRIFTLOOP_STORAGE__queueServiceUri string = storage.outputs.queueUri
output DRIFTLOOP_STORAGE__tableServiceUri string = storage.outputs.tableUri
output DRIFTLOOP_SUBSCRIPTION_ID string = subscription().subscriptionId
output DRIFTLOOP_RESOURCE_GROUP string = groupName
output DRIFTLOOP_WORKSPACE string = machinelearning.outputs.workspaceName
output DRIFTLOOP_TOPIC_ENDPOINT string = events.outputs.topicEndpoint
output DRIFTLOOP_LOGS_WORKSPACE_ID string = monitoring.outputs.logsWorkspaceId
output DRIFTLOOP_ENDPOINT_IDENTITY string = identities.outputs.endpointId
output DRIFTLOOP_APP_URL string = app.outputs.url
