// The Function App on Flex Consumption: one identity, no key, its settings exactly what shared/settings.py asks for.

@description('Name of the Function App.')
param name string

@description('Azure region.')
param location string

@description('Tags, with the one by which azd finds the app.')
param tags object

@description('Version of Python.')
param pythonVersion string

@description('Storage account of the state, the queue and the deployed package.')
param storageAccountName string

@description('Azure ML workspace.')
param workspaceName string

@description('Address of our Event Grid topic.')
param topicEndpoint string

@description('The id by which queries name the Log Analytics workspace.')
param logsWorkspaceId string

@description('Application Insights that gets the app\'s telemetry.')
param applicationInsightsName string

@description('Identity that new endpoints run as.')
param endpointIdentityId string

@description('Schedule of the tick.')
param tickSchedule string

@description('Schedule of the sweep.')
param sweepSchedule string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource telemetry 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

var suffix = environment().suffixes.storage
var blobUri = 'https://${account.name}.blob.${suffix}'
var queueUri = 'https://${account.name}.queue.${suffix}'
var tableUri = 'https://${account.name}.table.${suffix}'

resource plan 'Microsoft.Web/serverfarms@2023-12-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { tier: 'FlexConsumption', name: 'FC1' }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: { type: 'SystemAssigned' }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobUri}/app-package'
          authentication: { type: 'SystemAssignedIdentity' }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: { maximumInstanceCount: 40, instanceMemoryMB: 2048 }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2023-12-01' = {
  parent: site
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__blobServiceUri: blobUri
    AzureWebJobsStorage__queueServiceUri: queueUri
    AzureWebJobsStorage__tableServiceUri: tableUri
    AzureWebJobsStorage__credential: 'managedidentity'
    DRIFTLOOP_STORAGE__blobServiceUri: blobUri
    DRIFTLOOP_STORAGE__queueServiceUri: queueUri
    DRIFTLOOP_STORAGE__tableServiceUri: tableUri
    DRIFTLOOP_STORAGE__credential: 'managedidentity'
    DRIFTLOOP_SUBSCRIPTION_ID: subscription().subscriptionId
    DRIFTLOOP_RESOURCE_GROUP: resourceGroup().name
    DRIFTLOOP_WORKSPACE: workspaceName
    DRIFTLOOP_DATASTORE: 'driftloop_versions'
    DRIFTLOOP_QUEUE: 'driftloop-events'
    DRIFTLOOP_TABLE: 'driftloop'
    DRIFTLOOP_TOPIC_ENDPOINT: topicEndpoint
    DRIFTLOOP_LOGS_WORKSPACE_ID: logsWorkspaceId
    DRIFTLOOP_ENDPOINT_IDENTITY: endpointIdentityId
    DRIFTLOOP_TICK_SCHEDULE: tickSchedule
    DRIFTLOOP_SWEEP_SCHEDULE: sweepSchedule
    APPLICATIONINSIGHTS_CONNECTION_STRING: telemetry.properties.ConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD'
    PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
  }
}

// Nobody publishes with a password.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2023-12-01' = {
  parent: site
  name: 'ftp'
  properties: { allow: false }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2023-12-01' = {
  parent: site
  name: 'scm'
  properties: { allow: false }
}

@description('Name of the Function App.')
output name string = site.name

@description('Principal id of the Function App.')
output principalId string = site.identity.principalId

@description('Address of the Function App.')
output url string = 'https://${site.properties.defaultHostName}'
