# Identities that have their roles before the thing that uses them exists: the app, training nodes, endpoints, workspace.
resource "azurerm_user_assigned_identity" "made" {
  for_each = local.identity_names

  name                = each.value
  resource_group_name = local.group_name
  location            = var.location
  tags                = local.tags

  depends_on = [azurerm_resource_group.made]
}

# Rows of identities.yaml that are given here. A key is known before anything is made and seeds the assignment's name, as in
# Bicep, so that both give it the same. An existing workspace's own identity is not ours to serve.
locals {
  rows        = yamldecode(file("${path.module}/../identities.yaml"))
  definitions = yamldecode(file("${path.module}/../roles.yaml"))
  table = concat(
    local.rows.grants,
    local.is_private ? local.rows.private : [],
    length(local.landing_ids) > 0 ? local.rows.landings : [],
    var.autoscale == "on" ? local.rows.autoscale : [],
  )
  ours = "${local.subscription_path}/resourceGroups/${local.group_name}/providers"
  keys = merge(
    { for who, name in local.identity_names : who => "${local.ours}/Microsoft.ManagedIdentity/userAssignedIdentities/${name}" },
    { "blob-events" = local.blob_topic_name, "workspace-events" = local.workspace_topic_name },
    { for who in ["publisher"] : who => var.publisher_id if var.publisher_id != "" },
  )
  grants = [for row in local.table : {
    who   = row.who
    scope = row.scope
    key   = local.keys[row.who]
    role  = local.definitions[row.role].id
    type  = row.who == "publisher" ? var.publisher_type : "ServicePrincipal"
  } if contains(keys(local.keys), row.who)]

  # Of those that exist before a workspace does, and of all.
  early = merge(
    { for who, identity in azurerm_user_assigned_identity.made : who => identity.principal_id },
    { publisher = var.publisher_id },
  )
  principal_ids = merge(local.early, {
    "blob-events"      = local.blob_topic_principal
    "workspace-events" = local.workspace_topic_principal
  })
}
