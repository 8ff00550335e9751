# What `driftloop` needs on a person's machine or in CI; `azd env get-values` prints them.

output "AZURE_RESOURCE_GROUP" {
  value       = local.group_name
  description = "Resource group of the app."
}

output "DRIFTLOOP_STORAGE__blobServiceUri" {
  value       = local.blob_uri
  description = "Address of the blobs of our storage account."
}

output "DRIFTLOOP_STORAGE__queueServiceUri" {
  value       = local.queue_uri
  description = "Address of its queues."
}

output "DRIFTLOOP_STORAGE__tableServiceUri" {
  value       = local.table_uri
  description = "Address of its tables."
}

output "DRIFTLOOP_SUBSCRIPTION_ID" {
  value       = local.subscription_id
  description = "Subscription."
}

output "DRIFTLOOP_RESOURCE_GROUP" {
  value       = local.workspace_group
  description = "Resource group of the Azure ML workspace."
}

output "DRIFTLOOP_APP_RESOURCE_GROUP" {
  value       = local.group_name
  description = "Resource group of everything else."
}

output "DRIFTLOOP_WORKSPACE" {
  value       = local.workspace_name
  description = "Azure ML workspace."
}

output "DRIFTLOOP_TOPIC_ENDPOINT" {
  value       = azapi_resource.topic.output.properties.endpoint
  description = "Address of our Event Grid topic."
}

output "DRIFTLOOP_LOGS_WORKSPACE_ID" {
  value       = azapi_resource.logs.output.properties.customerId
  description = "The id by which queries name the Log Analytics workspace."
}

output "DRIFTLOOP_LOGS_ENDPOINT" {
  value       = local.cloud.logs
  description = "Address of the Log Analytics query API."
}

output "DRIFTLOOP_ENDPOINT_IDENTITY" {
  value       = azurerm_user_assigned_identity.made["endpoint"].id
  description = "Identity that new endpoints run as."
}

output "DRIFTLOOP_REGISTRY" {
  value       = var.shared_registry_id
  description = "Azure ML registry that environments share; empty: none."
}

output "DRIFTLOOP_AUTOSCALE_GROUP" {
  value       = var.autoscale == "on" ? local.group_name : ""
  description = "Resource group in which the app may make autoscale settings; empty: none."
}

output "DRIFTLOOP_ENVIRONMENT" {
  value       = var.environment_name
  description = "Name of this deployment."
}

output "DRIFTLOOP_APP_URL" {
  value       = "https://${azapi_resource.site.output.properties.defaultHostName}"
  description = "Address of the Function App."
}
