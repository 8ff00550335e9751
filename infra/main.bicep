// Everything that Driftloop needs on Azure, in one resource group, without a key.
// Who may do what is in identities.yaml; names and settings are read back by `driftloop doctor`.
// Names are computed here and passed as plain values, so that `azd provision --preview` can look into every module.
import { firewall, grant, link, tags as tagsOf } from 'modules/types.bicep'

targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment; it is part of the resource group\'s name and seeds the names of all resources.')
param environmentName string

@minLength(1)
@description('Azure region of all resources. It must offer Flex Consumption and managed online endpoints.')
param location string

@maxLength(20)
@description('Changes the names of all resources, where those of a removed deployment are still taken.')
param salt string = ''

@description('Resource group that exists and is used as it is. Empty: one is made.')
param existingGroupName string = ''

@description('Resource id of an Azure ML workspace that is used instead of a new one; it must be keyless and in another resource group.')
param existingWorkspaceId string = ''

@description('Region of that workspace. infra/read-existing.sh reads this and what follows.')
param existingWorkspaceLocation string = ''

@description('Resource id of that workspace\'s own storage account.')
param existingWorkspaceStorageId string = ''

@description('Resource id of that workspace\'s container registry; empty: it has none yet.')
param existingWorkspaceRegistryId string = ''

@description('Resource id of the Event Grid system topic that the workspace has already; empty: one is made.')
param existingWorkspaceTopicId string = ''

@description('Resource id of the Event Grid system topic that our storage account has already; empty: one is made.')
param existingBlobTopicId string = ''

@allowed(['off', 'on'])
@description('Whether loops may scale their deployments (serve.autoscale): the app may then make autoscale settings in its own resource group.')
param autoscale string = 'off'

@description('Resource ids of blob containers in other storage accounts, in which drops land, separated by commas.')
param landings string = ''

@description('Regions of their accounts, as NAME=REGION, separated by commas. infra/read-existing.sh reads this and what follows.')
param landingLocations string = ''

@description('Resource ids of the system topics that their accounts have already, as NAME=ID, separated by commas; else one is made.')
param landingTopics string = ''

@description('Resource id of the Azure ML registry through which models are promoted; it exists, in a region of the workspace too. Empty: none.')
param sharedRegistryId string = ''

@allowed(['public', 'private'])
@description('Whether everything has a public address that wants a token, or is reached through a virtual network.')
param network string = 'public'

@description('Address range of the virtual network that is made, a /25 or larger.')
param networkAddresses string = '10.77.0.0/24'

@description('Resource id of a subnet for the app, delegated to Microsoft.App/environments and otherwise empty. Empty: a network is made.')
param existingAppSubnetId string = ''

@description('Resource id of the subnet for private endpoints, beside that.')
param existingEndpointSubnetId string = ''

@description('Resource id of the resource group that has all private DNS zones, linked to the network. Empty: they are made.')
param existingZonesGroupId string = ''

@description('Isolation mode of an existing workspace\'s managed network, as infra/read-existing.sh reads it.')
param existingWorkspaceIsolation string = ''

@allowed(['disabled', 'selected-networks'])
@description('Public access of our storage account in a private network. Both shut everybody out but trusted services: the second where Event Grid does not get through the first.')
param storageAccess string = 'disabled'

@allowed(['alerts', 'none'])
@description('Who reaches the public address of an app in a private network: Azure Monitor\'s action groups, or nobody.')
param appAccess string = 'alerts'

@allowed(['internet', 'approved'])
@description('What training and serving reach from the managed network of a new workspace: the internet, or package indexes through a firewall that is paid for.')
param trainingOutbound string = 'internet'

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
@description('Python of the Function App; requirements.txt has hashes for each of these.')
param pythonVersion string = '3.12'

@allowed([512, 2048, 4096])
@description('Memory of an instance of the Function App in MB; docs/operations.md has the arithmetic.')
param instanceMemoryMB int = 4096

@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
@description('Redundancy of the storage accounts. Not every region has zones.')
param storageRedundancy string = 'Standard_ZRS'

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

@description('When the sweep looks after the next quarter of the loops: six-field NCRONTAB in UTC.')
param sweepSchedule string = '0 */2 * * * *'

@description('Size of the nodes of the training cluster, which scales to zero.')
param trainingVmSize string = 'Standard_DS3_v2'

@minValue(0)
@description('Most nodes of the training cluster; 0 makes no cluster, for loops that train on serverless compute.')
param trainingMaxNodes int = 2

@secure()
@description('HTTPS address that receives what needs a person; it answers the handshake of CloudEvents webhooks. Empty: nobody is notified.')
param notifyWebhookUrl string = ''

@description('HTTPS address that OpenLineage events are posted to. Empty: none are.')
param lineageUrl string = ''

@secure()
@description('Key for that address, or a reference to one in a key vault.')
param lineageKey string = ''

@secure()
@description('Keys by host, as HOST=KEY with blanks between, for sources and signals that ask for one, or a reference to them in a key vault.')
param httpKeys string = ''

var token = uniqueString(subscription().id, environmentName, location, salt)
var tags tagsOf = { 'azd-env-name': environmentName }
var groupName = empty(existingGroupName) ? 'rg-${environmentName}' : existingGroupName

// A workspace's system-assigned identity has a role on its whole resource group that can lift the immutability policy.
var isNewWorkspace = empty(existingWorkspaceId)
var existingWorkspaceGroup = isNewWorkspace ? '' : split(existingWorkspaceId, '/')[4]
var workspaceGroup = isNewWorkspace
  ? groupName
  : toLower(existingWorkspaceGroup) == toLower(groupName)
      ? fail('The workspace ${existingWorkspaceId} is in the resource group that Driftloop would be deployed to. Its identity could lift the immutability policy of the data versions there. Leave DRIFTLOOP_EXISTING_GROUP empty, or name another group.')
      : existingWorkspaceGroup
var workspaceName = isNewWorkspace ? 'mlw-${token}' : last(split(existingWorkspaceId, '/'))
var workspaceLocation = isNewWorkspace
  ? location
  : empty(existingWorkspaceLocation) || empty(existingWorkspaceStorageId)
      ? fail('Region or storage account of ${existingWorkspaceId} are unknown. Run infra/read-existing.sh, or set DRIFTLOOP_EXISTING_WORKSPACE_LOCATION and DRIFTLOOP_EXISTING_WORKSPACE_STORAGE.')
      : existingWorkspaceLocation

var accountName = 'st${token}'
var workspaceAccountName = isNewWorkspace ? 'stml${token}' : last(split(existingWorkspaceStorageId, '/'))
var workspaceAccountGroup = isNewWorkspace ? groupName : split(existingWorkspaceStorageId, '/')[4]
var hasRegistry = isNewWorkspace || !empty(existingWorkspaceRegistryId)
var registryName = isNewWorkspace ? 'cr${token}' : last(split(existingWorkspaceRegistryId, '/'))
var registryGroup = isNewWorkspace || empty(existingWorkspaceRegistryId)
  ? groupName
  : split(existingWorkspaceRegistryId, '/')[4]
var sharedRegistrySubscription = empty(sharedRegistryId) ? subscription().subscriptionId : split(sharedRegistryId, '/')[2]
var sharedRegistryGroup = empty(sharedRegistryId) ? groupName : split(sharedRegistryId, '/')[4]

// Containers of somebody else, and their accounts, each with the one system topic that it has or gets.
var landingIds = filter(map(split(landings, ','), one => trim(one)), one => !empty(one))
var landingRegions = toObject(
  filter(split(landingLocations, ','), one => !empty(one)),
  one => split(one, '=')[0],
  one => split(one, '=')[1]
)
var landingTopicIds = toObject(
  filter(split(landingTopics, ','), one => !empty(one)),
  one => split(one, '=')[0],
  one => split(one, '=')[1]
)
var landingAccounts = map(union(map(landingIds, one => split(one, '/blobServices/')[0]), []), id => {
  id: id
  name: last(split(id, '/'))
  location: landingRegions[?last(split(id, '/'))] ?? fail('The region of ${id} is unknown. Run infra/read-existing.sh, or set DRIFTLOOP_LANDING_LOCATIONS.')
  exists: contains(landingTopicIds, last(split(id, '/')))
  topicId: landingTopicIds[?last(split(id, '/'))] ?? '${split(id, '/Microsoft.Storage/')[0]}/Microsoft.EventGrid/systemTopics/evgst-${last(split(id, '/'))}-${token}'
})

var vaultName = 'kv-${token}'
var logsName = 'log-${token}'
var telemetryName = 'appi-${token}'
var topicName = 'evgt-${token}'
var appName = 'func-${token}'
var actionGroupName = 'driftloop-${token}'
var blobEventsName = empty(existingBlobTopicId) ? 'evgst-blobs-${token}' : last(split(existingBlobTopicId, '/'))
var blobEventsGroup = empty(existingBlobTopicId) ? groupName : split(existingBlobTopicId, '/')[4]
var workspaceEventsName = empty(existingWorkspaceTopicId)
  ? 'evgst-workspace-${token}'
  : last(split(existingWorkspaceTopicId, '/'))
var workspaceEventsGroup = empty(existingWorkspaceTopicId) ? groupName : split(existingWorkspaceTopicId, '/')[4]
var identityNames = {
  app: 'id-app-${token}'
  compute: 'id-compute-${token}'
  endpoint: 'id-endpoint-${token}'
  workspace: 'id-workspace-${token}'
}

// Resource ids, as far as they are known before anything is made.
var ours = '${subscription().id}/resourceGroups/${groupName}/providers'
var accountId = '${ours}/Microsoft.Storage/storageAccounts/${accountName}'
var workspaceId = '${subscription().id}/resourceGroups/${workspaceGroup}/providers/Microsoft.MachineLearningServices/workspaces/${workspaceName}'
var logsId = '${ours}/Microsoft.OperationalInsights/workspaces/${logsName}'
var telemetryId = '${ours}/Microsoft.Insights/components/${telemetryName}'
var identityIds = mapValues(identityNames, name => '${ours}/Microsoft.ManagedIdentity/userAssignedIdentities/${name}')

// Private networking: nothing of it is made, and no row of `private` is given, in a public deployment.
var isPrivate = network == 'private'
var hasNetwork = empty(existingAppSubnetId) == empty(existingEndpointSubnetId)
  ? !empty(existingAppSubnetId)
  : fail('Give both DRIFTLOOP_EXISTING_APP_SUBNET and DRIFTLOOP_EXISTING_ENDPOINT_SUBNET, or neither.')
var networkName = 'vnet-${token}'
var networkId = hasNetwork
  ? split(existingEndpointSubnetId, '/subnets/')[0]
  : '${ours}/Microsoft.Network/virtualNetworks/${networkName}'
var appSubnetId = hasNetwork ? existingAppSubnetId : '${networkId}/subnets/app'
var endpointSubnetId = hasNetwork ? existingEndpointSubnetId : '${networkId}/subnets/endpoints'
var addresses = startsWith(networkAddresses, '172.17.')
  ? fail('DRIFTLOOP_NETWORK_ADDRESSES cannot be of 172.17.0.0/16, which Docker uses on Azure ML\'s nodes.')
  : networkAddresses
var zonesGroupId = empty(existingZonesGroupId)
  ? '${subscription().id}/resourceGroups/${groupName}'
  : existingZonesGroupId
// A registry in a network cannot build images, and serverless compute is not meant for it: the cluster does.
var nodes = isPrivate && isNewWorkspace && trainingMaxNodes == 0
  ? fail('DRIFTLOOP_TRAINING_MAX_NODES must be 1 or more with DRIFTLOOP_NETWORK=private: the cluster builds the images.')
  : trainingMaxNodes
var hasManagedNetwork = isPrivate && (isNewWorkspace || !contains(['', 'Disabled'], existingWorkspaceIsolation))
var packageHosts = isNewWorkspace && trainingOutbound == 'approved'
  ? ['pypi.org', '*.pythonhosted.org', 'anaconda.com', '*.anaconda.com', '*.anaconda.org']
  : []
var accountFirewall firewall = isPrivate
  ? { publicNetworkAccess: storageAccess == 'disabled' ? 'Disabled' : 'Enabled', defaultAction: 'Deny' }
  : { publicNetworkAccess: 'Enabled', defaultAction: 'Allow' }
var alertsArrive = !isPrivate || appAccess == 'alerts'

var zones = loadYamlContent('zones.yaml')
var theirAccountId = '${ours}/Microsoft.Storage/storageAccounts/${workspaceAccountName}'
var storageLinks link[] = map(['blob', 'queue', 'table'], part => {
  name: 'pe-${part}-${token}'
  resourceId: accountId
  group: part
  zones: [zones[part]]
})
var dependencyLinks link[] = isNewWorkspace
  ? [
      { name: 'pe-workspace-blob-${token}', resourceId: theirAccountId, group: 'blob', zones: [zones.blob] }
      { name: 'pe-workspace-file-${token}', resourceId: theirAccountId, group: 'file', zones: [zones.file] }
      { name: 'pe-vault-${token}', resourceId: '${ours}/Microsoft.KeyVault/vaults/${vaultName}', group: 'vault', zones: [zones.vault] }
      { name: 'pe-registry-${token}', resourceId: '${ours}/Microsoft.ContainerRegistry/registries/${registryName}', group: 'registry', zones: [zones.registry] }
    ]
  : []
var workspaceLinks link[] = isNewWorkspace
  ? [
      { name: 'pe-workspace-${token}', resourceId: workspaceId, group: 'amlworkspace', zones: [zones.workspace, zones.notebooks] }
    ]
  : []
var topicLinks link[] = [
  { name: 'pe-topic-${token}', resourceId: '${ours}/Microsoft.EventGrid/topics/${topicName}', group: 'topic', zones: [zones.topic] }
]
var appLinks link[] = [
  { name: 'pe-app-${token}', resourceId: '${ours}/Microsoft.Web/sites/${appName}', group: 'sites', zones: [zones.app] }
]
var usedZones = union(flatten(map(concat(storageLinks, dependencyLinks, workspaceLinks, topicLinks, appLinks), one => one.zones)), [])

// Log Analytics' query API is not among environment().suffixes.
var logsEndpoint = environment().name == 'AzureUSGovernment'
  ? 'https://api.loganalytics.us/v1'
  : environment().name == 'AzureChinaCloud' ? 'https://api.loganalytics.azure.cn/v1' : 'https://api.loganalytics.io/v1'

// Rows of identities.yaml that are given here, by what is known of an identity before it exists: a principal id in an
// assignment's name would hide the assignment from a preview. An existing workspace's own identity is not ours to serve.
var rows = loadYamlContent('identities.yaml')
var table = concat(rows.grants, isPrivate ? rows.private : [], empty(landingIds) ? [] : rows.landings, autoscale == 'on' ? rows.autoscale : [])
var definitions = loadYamlContent('roles.yaml')
var keys = union(
  {
    app: identityIds.app
    compute: identityIds.compute
    endpoint: identityIds.endpoint
    'blob-events': blobEventsName
    'workspace-events': workspaceEventsName
  },
  isNewWorkspace ? { workspace: identityIds.workspace } : {},
  empty(publisherId) ? {} : { publisher: publisherId }
)
var grants grant[] = map(filter(table, row => contains(keys, row.who)), row => {
  who: row.who
  scope: row.scope
  key: keys[row.who]
  roleId: definitions[row.role].id
  type: row.who == 'publisher' ? publisherType : 'ServicePrincipal'
})

var endpointNames = filter(union(map(split(endpoints, ','), name => trim(name)), []), name => !empty(name))

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = if (empty(existingGroupName)) {
  name: groupName
  location: location
  tags: tags
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: resourceGroup(groupName)
  params: {
    name: accountName
    location: location
    tags: tags
    versionsImmutableDays: versionsImmutableDays
    redundancy: storageRedundancy
    firewall: accountFirewall
  }
  dependsOn: [group]
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: resourceGroup(groupName)
  params: {
    logsName: logsName
    telemetryName: telemetryName
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
  dependsOn: [group]
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: resourceGroup(groupName)
  params: {
    names: identityNames
    hasWorkspace: isNewWorkspace
    location: location
    tags: tags
  }
  dependsOn: [group]
}

module dependencies 'modules/dependencies.bicep' = if (isNewWorkspace) {
  name: 'dependencies'
  scope: resourceGroup(groupName)
  params: {
    accountName: workspaceAccountName
    vaultName: vaultName
    registryName: registryName
    location: location
    tags: tags
    redundancy: storageRedundancy
    isPrivate: isPrivate
  }
  dependsOn: [group]
}

module privateNetwork 'modules/network.bicep' = if (isPrivate && !hasNetwork) {
  name: 'network'
  scope: resourceGroup(groupName)
  params: {
    name: networkName
    location: location
    tags: tags
    addresses: addresses
  }
  dependsOn: [group]
}

module dnsZones 'modules/zones.bicep' = if (isPrivate && empty(existingZonesGroupId)) {
  name: 'dns-zones'
  scope: resourceGroup(groupName)
  params: {
    names: usedZones
    networkId: networkId
    tags: tags
  }
  dependsOn: [group, privateNetwork]
}

module storageEndpoints 'modules/privateendpoints.bicep' = if (isPrivate) {
  name: 'private-endpoints-storage'
  scope: resourceGroup(groupName)
  params: {
    links: concat(storageLinks, dependencyLinks)
    subnetId: endpointSubnetId
    zonesGroupId: zonesGroupId
    location: location
    tags: tags
  }
  dependsOn: [storage, dependencies, privateNetwork, dnsZones]
}

module workspaceEndpoints 'modules/privateendpoints.bicep' = if (isPrivate) {
  name: 'private-endpoints-workspace'
  scope: resourceGroup(groupName)
  params: {
    links: concat(workspaceLinks, topicLinks)
    subnetId: endpointSubnetId
    zonesGroupId: zonesGroupId
    location: location
    tags: tags
  }
  dependsOn: [workspace, events, privateNetwork, dnsZones]
}

module appEndpoint 'modules/privateendpoints.bicep' = if (isPrivate) {
  name: 'private-endpoints-app'
  scope: resourceGroup(groupName)
  params: {
    links: appLinks
    subnetId: endpointSubnetId
    zonesGroupId: zonesGroupId
    location: location
    tags: tags
  }
  dependsOn: [app, privateNetwork, dnsZones]
}

module rolesOnWorkspaceEndpoints 'modules/roles/endpoint.bicep' = [
  for endpoint in ['workspace-blob', 'workspace-file']: if (isPrivate && isNewWorkspace) {
    name: 'roles-endpoint-${endpoint}'
    scope: resourceGroup(groupName)
    params: {
      endpointName: 'pe-${endpoint}-${token}'
      grants: filter(grants, grant => grant.scope == endpoint)
      principalIds: early
    }
    dependsOn: [storageEndpoints]
  }
]

// What the workspace's identity needs before there is a workspace; the other rows on these scopes come along.
var early = union(identities.outputs.principalIds, { publisher: publisherId })

module rolesOnWorkspaceAccount 'modules/roles/account.bicep' = {
  name: 'roles-workspace-account'
  scope: resourceGroup(workspaceAccountGroup)
  params: {
    accountName: workspaceAccountName
    grants: filter(grants, grant => grant.scope == 'workspace-account')
    principalIds: early
  }
  dependsOn: [dependencies]
}

module rolesOnRegistry 'modules/roles/registry.bicep' = if (hasRegistry) {
  name: 'roles-registry'
  scope: resourceGroup(registryGroup)
  params: {
    registryName: registryName
    grants: filter(grants, grant => grant.scope == 'registry')
    principalIds: early
  }
  dependsOn: [dependencies]
}

module rolesOnVault 'modules/roles/vault.bicep' = if (isNewWorkspace) {
  name: 'roles-vault'
  scope: resourceGroup(groupName)
  params: {
    vaultName: vaultName
    grants: filter(grants, grant => grant.scope == 'vault')
    principalIds: early
  }
  dependsOn: [dependencies]
}

module rolesOnTelemetry 'modules/roles/telemetry.bicep' = {
  name: 'roles-telemetry'
  scope: resourceGroup(groupName)
  params: {
    telemetryName: telemetryName
    grants: filter(grants, grant => grant.scope == 'telemetry')
    principalIds: early
  }
  dependsOn: [monitoring]
}

module workspace 'modules/workspace.bicep' = if (isNewWorkspace) {
  name: 'workspace'
  scope: resourceGroup(groupName)
  params: {
    name: workspaceName
    location: location
    tags: tags
    identityId: identityIds.workspace
    accountId: '${ours}/Microsoft.Storage/storageAccounts/${workspaceAccountName}'
    vaultId: '${ours}/Microsoft.KeyVault/vaults/${vaultName}'
    registryId: '${ours}/Microsoft.ContainerRegistry/registries/${registryName}'
    telemetryId: telemetryId
    outbound: isPrivate ? trainingOutbound : ''
  }
  dependsOn: [rolesOnWorkspaceAccount, rolesOnRegistry, rolesOnVault, rolesOnTelemetry, storageEndpoints]
}

module training 'modules/training.bicep' = {
  name: 'driftloop-training'
  scope: resourceGroup(workspaceGroup)
  params: {
    workspaceName: workspaceName
    location: workspaceLocation
    tags: tags
    accountName: accountName
    computeIdentityId: identityIds.compute
    vmSize: trainingVmSize
    maxNodes: nodes
    hasManagedNetwork: hasManagedNetwork
  }
  dependsOn: [identities, storage, workspace, outboundRules]
}

// Before the cluster, and after the role by which the workspace approves its own endpoint to our account.
module outboundRules 'modules/outboundrules.bicep' = if (hasManagedNetwork) {
  name: 'driftloop-outbound-rules'
  scope: resourceGroup(workspaceGroup)
  params: {
    workspaceName: workspaceName
    accountId: accountId
    hosts: packageHosts
  }
  dependsOn: [storage, workspace, rolesOnAccount, workspaceEndpoints]
}

module events 'modules/events.bicep' = {
  name: 'events'
  scope: resourceGroup(groupName)
  params: {
    topicName: topicName
    systemTopicNames: { blobs: blobEventsName, workspace: workspaceEventsName }
    existing: { blobs: existingBlobTopicId, workspace: existingWorkspaceTopicId }
    location: location
    workspaceLocation: workspaceLocation
    tags: tags
    accountId: accountId
    workspaceId: workspaceId
    isPrivate: isPrivate
  }
  dependsOn: [storage, workspace]
}

var principalIds = union(early, events.outputs.principalIds)

module rolesOnAccount 'modules/roles/account.bicep' = {
  name: 'roles-account'
  scope: resourceGroup(groupName)
  params: {
    accountName: accountName
    grants: filter(grants, grant => grant.scope == 'account')
    principalIds: principalIds
  }
  dependsOn: [storage]
}

module rolesOnContainers 'modules/roles/container.bicep' = [
  for container in ['versions', 'readings', 'dead-letter']: {
    name: 'roles-${container}'
    scope: resourceGroup(groupName)
    params: {
      accountName: accountName
      containerName: container
      grants: filter(grants, grant => grant.scope == container)
      principalIds: principalIds
    }
    dependsOn: [storage]
  }
]

module rolesOnOwnLanding 'modules/roles/container.bicep' = {
  name: 'roles-own-landing'
  scope: resourceGroup(groupName)
  params: {
    accountName: accountName
    containerName: 'landing'
    grants: filter(grants, grant => grant.scope == 'own-landing')
    principalIds: principalIds
  }
  dependsOn: [storage]
}

module rolesOnQueue 'modules/roles/queue.bicep' = {
  name: 'roles-queue'
  scope: resourceGroup(groupName)
  params: {
    accountName: accountName
    queueName: 'driftloop-events'
    grants: filter(grants, grant => grant.scope == 'queue')
    principalIds: principalIds
  }
  dependsOn: [storage]
}

module rolesOnWorkspace 'modules/roles/workspace.bicep' = {
  name: 'roles-workspace'
  scope: resourceGroup(workspaceGroup)
  params: {
    workspaceName: workspaceName
    grants: filter(grants, grant => grant.scope == 'workspace')
    principalIds: principalIds
  }
  dependsOn: [workspace]
}

module rolesOnTopic 'modules/roles/topic.bicep' = {
  name: 'roles-topic'
  scope: resourceGroup(groupName)
  params: {
    topicName: topicName
    grants: filter(grants, grant => grant.scope == 'topic')
    principalIds: principalIds
  }
}

module rolesOnLogs 'modules/roles/logs.bicep' = {
  name: 'roles-logs'
  scope: resourceGroup(groupName)
  params: {
    logsName: logsName
    grants: filter(grants, grant => grant.scope == 'logs')
    principalIds: principalIds
  }
  dependsOn: [monitoring]
}

module rolesOnGroup 'modules/roles/group.bicep' = if (autoscale == 'on') {
  name: 'roles-group'
  scope: resourceGroup(groupName)
  params: {
    grants: filter(grants, grant => grant.scope == 'app-group')
    principalIds: early
  }
  dependsOn: [group]
}

module rolesOnEndpointIdentity 'modules/roles/identity.bicep' = {
  name: 'roles-endpoint-identity'
  scope: resourceGroup(groupName)
  params: {
    identityName: identityNames.endpoint
    grants: filter(grants, grant => grant.scope == 'endpoint-identity')
    principalIds: principalIds
  }
}

module blobSubscription 'modules/subscription.bicep' = {
  name: 'driftloop-blobs'
  scope: resourceGroup(blobEventsGroup)
  params: {
    systemTopicName: blobEventsName
    name: 'driftloop-blobs'
    accountId: accountId
    eventTypes: ['Microsoft.Storage.BlobCreated']
    containers: ['landing', 'labels']
  }
  dependsOn: [events, rolesOnQueue, rolesOnContainers]
}

module landingEvents 'modules/landing.bicep' = [
  for one in landingAccounts: {
    name: 'driftloop-landing-${one.name}'
    scope: resourceGroup(split(one.topicId, '/')[2], split(one.topicId, '/')[4])
    params: {
      topicName: last(split(one.topicId, '/'))
      exists: one.exists
      location: one.location
      tags: tags
      sourceId: one.id
      containers: map(filter(landingIds, id => startsWith(id, '${one.id}/')), id => last(split(id, '/')))
      name: 'driftloop-${token}'
      account: { subscriptionId: subscription().subscriptionId, group: groupName, name: accountName, id: accountId }
      grants: map(filter(rows.landings, row => row.who == 'landing-events'), row => {
        who: row.who
        scope: row.scope
        key: 'landing-${one.name}-${token}'
        roleId: definitions[row.role].id
        type: 'ServicePrincipal'
      })
    }
    dependsOn: [storage]
  }
]

module rolesOnLandingAccounts 'modules/roles/account.bicep' = [
  for (one, index) in landingAccounts: {
    name: 'driftloop-roles-landing-account-${token}-${index}'
    scope: resourceGroup(split(one.id, '/')[2], split(one.id, '/')[4])
    params: {
      accountName: one.name
      grants: filter(grants, grant => grant.scope == 'landing-account')
      principalIds: early
    }
  }
]

module rolesOnLandings 'modules/roles/container.bicep' = [
  for (id, index) in landingIds: {
    name: 'driftloop-roles-landing-${token}-${index}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      accountName: split(id, '/')[8]
      containerName: last(split(id, '/'))
      grants: filter(grants, grant => grant.scope == 'landing')
      principalIds: early
    }
  }
]

module workspaceSubscription 'modules/subscription.bicep' = {
  name: 'driftloop-workspace'
  scope: resourceGroup(workspaceEventsGroup)
  params: {
    systemTopicName: workspaceEventsName
    name: 'driftloop-workspace'
    accountId: accountId
    eventTypes: [
      'Microsoft.MachineLearningServices.RunStatusChanged'
      'Microsoft.MachineLearningServices.RunCompleted'
      'Microsoft.MachineLearningServices.ModelRegistered'
      'Microsoft.MachineLearningServices.ModelDeployed'
    ]
  }
  dependsOn: [events, rolesOnQueue, rolesOnContainers]
}

// The app comes after every role of its identity: storage that refuses it ends the host, again and again.
module app 'modules/app.bicep' = {
  name: 'app'
  scope: resourceGroup(groupName)
  params: {
    name: appName
    location: location
    tags: union(tags, { 'azd-service-name': 'app' })
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    identityName: identityNames.app
    storageAccountName: accountName
    workspaceName: workspaceName
    workspaceResourceGroup: workspaceGroup
    topicEndpoint: events.outputs.topicEndpoint
    logsWorkspaceId: monitoring.outputs.logsWorkspaceId
    logsEndpoint: logsEndpoint
    applicationInsightsName: telemetryName
    endpointIdentityId: identityIds.endpoint
    sharedRegistryId: sharedRegistryId
    autoscaleGroup: autoscale == 'on' ? groupName : ''
    environmentName: environmentName
    tickSchedule: tickSchedule
    sweepSchedule: sweepSchedule
    lineageUrl: lineageUrl
    lineageKey: lineageKey
    httpKeys: httpKeys
    subnetId: isPrivate ? appSubnetId : ''
    access: appAccess
    endpointAccess: hasManagedNetwork ? 'disabled' : 'enabled'
  }
  dependsOn: [
    storageEndpoints
    workspaceEndpoints
    rolesOnAccount
    rolesOnContainers
    rolesOnOwnLanding
    rolesOnQueue
    rolesOnWorkspaceAccount
    rolesOnWorkspace
    rolesOnTopic
    rolesOnLogs
    rolesOnTelemetry
    rolesOnEndpointIdentity
    rolesOnSharedRegistry
    rolesOnLandings
    rolesOnGroup
  ]
}

module rolesOnSharedRegistry 'modules/roles/shared_registry.bicep' = if (!empty(sharedRegistryId)) {
  name: 'roles-shared-registry-${token}'
  scope: resourceGroup(sharedRegistrySubscription, sharedRegistryGroup)
  params: {
    registryName: last(split(sharedRegistryId, '/'))
    grants: filter(grants, grant => grant.scope == 'shared-registry')
    principalIds: early
  }
}

module authentication 'modules/authentication.bicep' = {
  name: 'authentication'
  scope: resourceGroup(groupName)
  params: {
    appName: appName
    authClientId: authClientId
  }
  dependsOn: [app]
}

module actionGroup 'modules/actiongroup.bicep' = if (alertsArrive) {
  name: 'action-group'
  scope: resourceGroup(groupName)
  params: {
    name: actionGroupName
    tags: tags
    appName: appName
    authClientId: authClientId
    authObjectId: authObjectId
  }
  dependsOn: [app]
}

module notifications 'modules/notifications.bicep' = if (!empty(notifyWebhookUrl)) {
  name: 'notifications'
  scope: resourceGroup(groupName)
  params: {
    topicName: topicName
    webhookUrl: notifyWebhookUrl
  }
  dependsOn: [events]
}

module diagnostics 'modules/diagnostics.bicep' = [
  for endpoint in endpointNames: {
    name: 'diagnostics-${endpoint}'
    scope: resourceGroup(workspaceGroup)
    params: {
      endpointName: endpoint
      workspaceName: workspaceName
      logsId: logsId
    }
    dependsOn: [monitoring, workspace]
  }
]

module alert 'modules/alert.bicep' = [
  for endpoint in endpointNames: {
    name: 'alert-${endpoint}'
    scope: resourceGroup(groupName)
    params: {
      endpointName: endpoint
      location: location
      tags: tags
      logsId: logsId
      actionGroupIds: alertsArrive ? ['${ours}/Microsoft.Insights/actionGroups/${actionGroupName}'] : []
    }
    dependsOn: [monitoring, actionGroup]
  }
]

// What `driftloop` needs on a person's machine or in CI; `azd env get-values` prints them.
output AZURE_RESOURCE_GROUP string = groupName
output DRIFTLOOP_STORAGE__blobServiceUri string = 'https://${accountName}.blob.${environment().suffixes.storage}'
output DRIFTLOOP_STORAGE__queueServiceUri string = 'https://${accountName}.queue.${environment().suffixes.storage}'
output DRIFTLOOP_STORAGE__tableServiceUri string = 'https://${accountName}.table.${environment().suffixes.storage}'
output DRIFTLOOP_SUBSCRIPTION_ID string = subscription().subscriptionId
output DRIFTLOOP_RESOURCE_GROUP string = workspaceGroup
output DRIFTLOOP_APP_RESOURCE_GROUP string = groupName
output DRIFTLOOP_WORKSPACE string = workspaceName
output DRIFTLOOP_TOPIC_ENDPOINT string = events.outputs.topicEndpoint
output DRIFTLOOP_LOGS_WORKSPACE_ID string = monitoring.outputs.logsWorkspaceId
output DRIFTLOOP_LOGS_ENDPOINT string = logsEndpoint
output DRIFTLOOP_ENDPOINT_IDENTITY string = identityIds.endpoint
output DRIFTLOOP_REGISTRY string = sharedRegistryId
output DRIFTLOOP_AUTOSCALE_GROUP string = autoscale == 'on' ? groupName : ''
output DRIFTLOOP_ENVIRONMENT string = environmentName
output DRIFTLOOP_APP_URL string = app.outputs.url
