# Containers of somebody else in which drops land, and their accounts: the one system topic that Azure allows each, what that
# may do with our queue, the subscription, and what the app may read.
locals {
  landing_ids       = compact([for id in split(",", var.landings) : trimspace(id)])
  landing_regions   = { for one in compact(split(",", var.landing_locations)) : split("=", one)[0] => split("=", one)[1] }
  landing_topic_ids = { for one in compact(split(",", var.landing_topics)) : split("=", one)[0] => split("=", one)[1] }
  landing_accounts = {
    for id in distinct([for one in local.landing_ids : split("/blobServices/", one)[0]]) :
    split("/", id)[8] => {
      id         = id
      group_id   = split("/providers/", id)[0]
      location   = local.landing_regions[split("/", id)[8]]
      topic_id   = lookup(local.landing_topic_ids, split("/", id)[8], "")
      containers = [for one in local.landing_ids : reverse(split("/", one))[0] if startswith(one, "${id}/")]
      grants = [for row in local.rows.landings : {
        who   = row.who
        scope = row.scope
        key   = "landing-${split("/", id)[8]}-${local.token}"
        role  = local.definitions[row.role].id
        type  = "ServicePrincipal"
      } if row.who == "landing-events"]
    }
  }
  landing_topics = {
    for name, account in local.landing_accounts : name => account.topic_id == "" ? azapi_resource.landing_topic[name].id : account.topic_id
  }
  landing_principals = {
    for name, account in local.landing_accounts : name => (
      account.topic_id == ""
      ? azapi_resource.landing_topic[name].output.identity.principalId
      : data.azapi_resource.their_landing_topic[name].output.identity.principalId
    )
  }
}

resource "azapi_resource" "landing_topic" {
  for_each = { for name, account in local.landing_accounts : name => account if account.topic_id == "" }

  type      = "Microsoft.EventGrid/systemTopics@2025-02-15"
  parent_id = each.value.group_id
  name      = "evgst-${each.key}-${local.token}"
  location  = each.value.location
  tags      = local.tags

  identity {
    type = "SystemAssigned"
  }

  body = { properties = { source = each.value.id, topicType = "Microsoft.Storage.StorageAccounts" } }

  response_export_values = ["identity.principalId"]
}

data "azapi_resource" "their_landing_topic" {
  for_each = { for name, account in local.landing_accounts : name => account if account.topic_id != "" }

  type                   = "Microsoft.EventGrid/systemTopics@2025-02-15"
  resource_id            = each.value.topic_id
  response_export_values = ["identity.principalId"]
}

module "landing_roles_on_queue" {
  source   = "./roles"
  for_each = local.landing_accounts

  scope         = azapi_resource.queue["driftloop-events"].id
  grants        = [for row in each.value.grants : row if row.scope == "queue"]
  principal_ids = { "landing-events" = local.landing_principals[each.key] }
}

module "landing_roles_on_dead_letters" {
  source   = "./roles"
  for_each = local.landing_accounts

  scope         = azapi_resource.container["dead-letter"].id
  grants        = [for row in each.value.grants : row if row.scope == "dead-letter"]
  principal_ids = { "landing-events" = local.landing_principals[each.key] }
}

# An account with folders tells of a rename alone what is there then; one without never renames.
module "landing_subscription" {
  source   = "./subscription"
  for_each = local.landing_accounts

  topic_id   = local.landing_topics[each.key]
  name       = "driftloop-${local.token}"
  account_id = azapi_resource.account.id
  event_types = [
    "Microsoft.Storage.BlobCreated",
    "Microsoft.Storage.BlobRenamed",
    "Microsoft.Storage.DirectoryRenamed",
  ]
  containers = each.value.containers

  depends_on = [module.landing_roles_on_queue, module.landing_roles_on_dead_letters]
}

module "roles_on_landing" {
  source   = "./roles"
  for_each = toset(local.landing_ids)

  scope         = each.value
  grants        = [for row in local.grants : row if row.scope == "landing"]
  principal_ids = local.early
}

module "roles_on_landing_account" {
  source   = "./roles"
  for_each = local.landing_accounts

  scope         = each.value.id
  grants        = [for row in local.grants : row if row.scope == "landing-account"]
  principal_ids = local.early
}
