# The topics: blob events, the workspace's events, and ours. Azure allows one system topic a source, so that one which exists
# already is used as it is; it needs a system-assigned identity of its own.
locals {
  blob_topic_name      = var.existing_blob_topic_id == "" ? "evgst-blobs-${local.token}" : reverse(split("/", var.existing_blob_topic_id))[0]
  workspace_topic_name = var.existing_workspace_topic_id == "" ? "evgst-workspace-${local.token}" : reverse(split("/", var.existing_workspace_topic_id))[0]

  blob_topic_id      = var.existing_blob_topic_id == "" ? one(azapi_resource.blob_topic[*].id) : var.existing_blob_topic_id
  workspace_topic_id = var.existing_workspace_topic_id == "" ? one(azapi_resource.workspace_topic[*].id) : var.existing_workspace_topic_id
  blob_topic_principal = (
    var.existing_blob_topic_id == ""
    ? one(azapi_resource.blob_topic[*].output.identity.principalId)
    : one(data.azapi_resource.their_blob_topic[*].output.identity.principalId)
  )
  workspace_topic_principal = (
    var.existing_workspace_topic_id == ""
    ? one(azapi_resource.workspace_topic[*].output.identity.principalId)
    : one(data.azapi_resource.their_workspace_topic[*].output.identity.principalId)
  )
}

resource "azapi_resource" "blob_topic" {
  count = var.existing_blob_topic_id == "" ? 1 : 0

  type      = "Microsoft.EventGrid/systemTopics@2025-02-15"
  parent_id = local.group_id
  name      = local.blob_topic_name
  location  = var.location
  tags      = local.tags

  identity {
    type = "SystemAssigned"
  }

  body = { properties = { source = azapi_resource.account.id, topicType = "Microsoft.Storage.StorageAccounts" } }

  response_export_values = ["identity.principalId"]
}

resource "azapi_resource" "workspace_topic" {
  count = var.existing_workspace_topic_id == "" ? 1 : 0

  type      = "Microsoft.EventGrid/systemTopics@2025-02-15"
  parent_id = local.group_id
  name      = local.workspace_topic_name
  location  = local.workspace_location
  tags      = local.tags

  identity {
    type = "SystemAssigned"
  }

  body = { properties = { source = local.workspace_id, topicType = "Microsoft.MachineLearningServices.Workspaces" } }

  response_export_values = ["identity.principalId"]
}

data "azapi_resource" "their_blob_topic" {
  count = var.existing_blob_topic_id == "" ? 0 : 1

  type                   = "Microsoft.EventGrid/systemTopics@2025-02-15"
  resource_id            = var.existing_blob_topic_id
  response_export_values = ["identity.principalId"]
}

data "azapi_resource" "their_workspace_topic" {
  count = var.existing_workspace_topic_id == "" ? 0 : 1

  type                   = "Microsoft.EventGrid/systemTopics@2025-02-15"
  resource_id            = var.existing_workspace_topic_id
  response_export_values = ["identity.principalId"]
}

# Event Grid checks its rights when a subscription is made, so the roles come first.
module "blob_subscription" {
  source = "./subscription"

  topic_id    = local.blob_topic_id
  name        = "driftloop-blobs"
  account_id  = azapi_resource.account.id
  event_types = ["Microsoft.Storage.BlobCreated"]
  containers  = ["landing", "labels"]

  depends_on = [module.roles_on_queue, module.roles_on_container]
}

module "workspace_subscription" {
  source = "./subscription"

  topic_id   = local.workspace_topic_id
  name       = "driftloop-workspace"
  account_id = azapi_resource.account.id
  event_types = [
    "Microsoft.MachineLearningServices.RunStatusChanged",
    "Microsoft.MachineLearningServices.RunCompleted",
    "Microsoft.MachineLearningServices.ModelRegistered",
    "Microsoft.MachineLearningServices.ModelDeployed",
  ]

  depends_on = [module.roles_on_queue, module.roles_on_container]
}

# Every change of a loop is published here. Whoever wants to listen makes a subscription of their own.
resource "azapi_resource" "topic" {
  type      = "Microsoft.EventGrid/topics@2025-02-15"
  parent_id = local.group_id
  name      = "evgt-${local.token}"
  location  = var.location
  tags      = local.tags

  body = {
    properties = {
      inputSchema              = "CloudEventSchemaV1_0"
      disableLocalAuth         = true
      minimumTlsVersionAllowed = "1.2"
      publicNetworkAccess      = local.is_private ? "Disabled" : "Enabled"
    }
  }

  response_export_values = ["properties.endpoint"]
}

module "roles_on_topic" {
  source = "./roles"

  scope         = azapi_resource.topic.id
  grants        = [for row in local.grants : row if row.scope == "topic"]
  principal_ids = local.early
}

# Sends what needs a person to one address. An example: whoever wants other events makes a subscription of their own.
resource "azapi_resource" "notifications" {
  count = nonsensitive(var.notify_webhook_url == "") ? 0 : 1

  type      = "Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15"
  parent_id = azapi_resource.topic.id
  name      = "driftloop-needs-a-person"

  body = {
    properties = {
      destination = {
        endpointType = "WebHook"
        properties   = { endpointUrl = var.notify_webhook_url, minimumTlsVersionAllowed = "1.2", maxEventsPerBatch = 1 }
      }
      eventDeliverySchema = "CloudEventSchemaV1_0"
      retryPolicy         = { maxDeliveryAttempts = 30, eventTimeToLiveInMinutes = 1440 }
      filter = {
        # Those that docs/events.md marks.
        includedEventTypes = [
          "Driftloop.Drop.Quarantined",
          "Driftloop.Source.GivenUp",
          "Driftloop.Release.AwaitingApproval",
          "Driftloop.Release.Holding",
          "Driftloop.Release.RollingBack",
          "Driftloop.Release.Failed",
          "Driftloop.Traffic.Adopted",
          "Driftloop.Serving.Lost",
        ]
      }
    }
  }
}
