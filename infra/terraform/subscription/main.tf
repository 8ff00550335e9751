# A subscription of a system topic: straight into the storage queue, by the topic's own identity; what cannot be delivered is
# kept.
terraform {
  required_providers {
    azapi = {
      source = "Azure/azapi"
    }
  }
}

variable "topic_id" {
  type        = string
  description = "Resource id of the system topic."
}

variable "name" {
  type        = string
  description = "Name of the subscription."
}

variable "account_id" {
  type        = string
  description = "Resource id of the account of the queue and of the dead-letter container."
}

variable "event_types" {
  type        = list(string)
  description = "Types of the events that are passed on."
}

variable "containers" {
  type        = list(string)
  default     = []
  description = "Containers whose blobs are passed on; empty: no filter on the subject."
}

resource "azapi_resource" "subscription" {
  type      = "Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15"
  parent_id = var.topic_id
  name      = var.name

  body = {
    properties = {
      deliveryWithResourceIdentity = {
        identity = { type = "SystemAssigned" }
        destination = {
          endpointType = "StorageQueue"
          properties   = { resourceId = var.account_id, queueName = "driftloop-events", queueMessageTimeToLiveInSeconds = 604800 }
        }
      }
      deadLetterWithResourceIdentity = {
        identity = { type = "SystemAssigned" }
        deadLetterDestination = {
          endpointType = "StorageBlob"
          properties   = { resourceId = var.account_id, blobContainerName = "dead-letter" }
        }
      }
      eventDeliverySchema = "EventGridSchema"
      retryPolicy         = { maxDeliveryAttempts = 30, eventTimeToLiveInMinutes = 1440 }
      filter = {
        includedEventTypes              = var.event_types
        enableAdvancedFilteringOnArrays = true
        advancedFilters = [for containers in [var.containers] : {
          operatorType = "StringBeginsWith"
          key          = "subject"
          values       = [for container in containers : "/blobServices/default/containers/${container}/"]
        } if length(containers) > 0]
      }
    }
  }
}
