// The Function App on Flex Consumption. Its identity is made, and has its roles, before it: the host ends its whole
// process when storage refuses it. No key; its settings are exactly what shared/settings.py and the host ask for.
import { tags as tagsOf } from 'types.bicep'

@description('Name of the Function App.')
param name string

@description('Azure region.')
param location string

@description('Tags, with the one by which azd finds the app.')
param tags tagsOf

@description('Version of Python.')
param pythonVersion string

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('Name of the user-assigned identity that the app runs as.')
param identityName string

@description('Storage account of the state, the queues and the deployed package.')
param storageAccountName string

@description('Azure ML workspace.')
param workspaceName string

@description('Resource group of the Azure ML workspace.')
param workspaceResourceGroup string

@description('Address of our Event Grid topic.')
param topicEndpoint string

@description('The id by which queries name the Log Analytics workspace.')
param logsWorkspaceId string

@description('Address of the Log Analytics query API in this cloud.')
param logsEndpoint string

@description('Application Insights that gets the app\'s telemetry.')
param applicationInsightsName string

@description('Resource id of the identity that new endpoints run as.')
param endpointIdentityId string

@description('Resource id of the Azure ML registry through which models are promoted; empty: none.')
param sharedRegistryId string

@description('Resource group in which the app may make autoscale settings; empty: none.')
param autoscaleGroup string

@description('Name of the environment that this deployment is.')
param environmentName string

@description('Schedule of the tick.')
param tickSchedule string

@description('Schedule of the sweep.')
param sweepSchedule string

@description('Address that OpenLineage events are posted to; empty: none are.')
param lineageUrl string

@secure()
@description('Key for that address, or a reference to one in a key vault.')
param lineageKey string

@secure()
@description('Keys by host, as HOST=KEY with blanks between, for sources and signals that ask for one, or a reference to them in a key vault.')
param httpKeys string

@description('Subnet that the app goes out through; empty: it is in no network.')
param subnetId string

@description('Who reaches the public address of an app in a network: Azure Monitor\'s action groups, or nobody.')
param access 'alerts' | 'none'

@description('Public address of the endpoints that releases make.')
param endpointAccess 'enabled' | 'disabled'

var suffix = environment().suffixes.storage
var blobUri = 'https://${storageAccountName}.blob.${suffix}'
var queueUri = 'https://${storageAccountName}.queue.${suffix}'
var tableUri = 'https://${storageAccountName}.table.${suffix}'
// The host can lose a race at its start with addresses alone (azure-functions-host#11787); from the name it builds
// addresses of the public cloud, so that in another cloud the name must not be given (terraform-provider-azurerm#32062).
var hostAccountName = environment().name == 'AzureCloud' ? { AzureWebJobsStorage__accountName: storageAccountName } : {}

// With a private endpoint the deployment site is closed, too: whoever deploys is in the network.
var actionGroups = [
  { name: 'azure-monitor', priority: 100, action: 'Allow', tag: 'ServiceTag', ipAddress: 'ActionGroup' }
]
var restrictions = empty(subnetId)
  ? {}
  : {
      ipSecurityRestrictionsDefaultAction: 'Deny'
      ipSecurityRestrictions: access == 'alerts' ? actionGroups : []
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: 'Deny'
    }

resource telemetry 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { tier: 'FlexConsumption', name: 'FC1' }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identity.id
    publicNetworkAccess: empty(subnetId) || access == 'alerts' ? 'Enabled' : 'Disabled'
    ...(empty(subnetId) ? {} : { virtualNetworkSubnetId: subnetId })
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      ...restrictions
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobUri}/app-package'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: { maximumInstanceCount: 40, instanceMemoryMB: instanceMemoryMB }
    }
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: union(hostAccountName, {
      AzureWebJobsStorage__blobServiceUri: blobUri
      AzureWebJobsStorage__queueServiceUri: queueUri
      AzureWebJobsStorage__tableServiceUri: tableUri
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identity.properties.clientId
      AzureWebJobsDisableHomepage: 'true'
      AZURE_CLIENT_ID: identity.properties.clientId
      DRIFTLOOP_STORAGE__blobServiceUri: blobUri
      DRIFTLOOP_STORAGE__queueServiceUri: queueUri
      DRIFTLOOP_STORAGE__tableServiceUri: tableUri
      DRIFTLOOP_STORAGE__credential: 'managedidentity'
      DRIFTLOOP_STORAGE__clientId: identity.properties.clientId
      DRIFTLOOP_SUBSCRIPTION_ID: subscription().subscriptionId
      DRIFTLOOP_RESOURCE_GROUP: workspaceResourceGroup
      DRIFTLOOP_WORKSPACE: workspaceName
      DRIFTLOOP_DATASTORE: 'driftloop_versions'
      DRIFTLOOP_QUEUE: 'driftloop-events'
      DRIFTLOOP_RUNS: 'driftloop-runs'
      DRIFTLOOP_TABLE: 'driftloop'
      DRIFTLOOP_TOPIC_ENDPOINT: topicEndpoint
      DRIFTLOOP_LOGS_WORKSPACE_ID: logsWorkspaceId
      DRIFTLOOP_LOGS_ENDPOINT: logsEndpoint
      DRIFTLOOP_ENDPOINT_IDENTITY: endpointIdentityId
      DRIFTLOOP_REGISTRY: sharedRegistryId
      DRIFTLOOP_AUTOSCALE_GROUP: autoscaleGroup
      DRIFTLOOP_ENVIRONMENT: environmentName
      DRIFTLOOP_ENDPOINT_ACCESS: endpointAccess
      DRIFTLOOP_TICK_SCHEDULE: tickSchedule
      DRIFTLOOP_SWEEP_SCHEDULE: sweepSchedule
      DRIFTLOOP_LINEAGE_URL: lineageUrl
      DRIFTLOOP_LINEAGE_KEY: lineageKey
      DRIFTLOOP_HTTP_KEYS: httpKeys
      APPLICATIONINSIGHTS_CONNECTION_STRING: telemetry.properties.ConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
      PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
    })
  }

  // Nobody publishes with a password.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

@description('Address of the Function App.')
output url string = 'https://${site.properties.defaultHostName}'
