# What can be set: the parameters of ../main.bicep, under Terraform's spelling. azd fills main.tfvars.json from its environment.

variable "environment_name" {
  type        = string
  description = "Name of the azd environment; it is part of the resource group's name and seeds the names of all resources."
  nullable    = false

  validation {
    condition     = length(var.environment_name) >= 1 && length(var.environment_name) <= 40
    error_message = "environment_name must have 1 to 40 characters."
  }
}

variable "location" {
  type        = string
  description = "Azure region of all resources. It must offer Flex Consumption and managed online endpoints."
  nullable    = false

  validation {
    condition     = length(var.location) >= 1
    error_message = "location must not be empty."
  }
}

variable "salt" {
  type        = string
  description = "Changes the names of all resources, where those of a removed deployment are still taken."
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.salt) <= 20
    error_message = "salt must have at most 20 characters."
  }
}

variable "token" {
  type        = string
  description = "What the names end in, where Bicep made the resources and they are imported; its names have it. Empty: made of the subscription, the environment's name, the region and the salt."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]{13})?$", var.token))
    error_message = "token must be 13 lower-case letters and digits, as in the name of the storage account after st."
  }
}

variable "existing_group_name" {
  type        = string
  description = "Resource group that exists and is used as it is. Empty: one is made."
  default     = ""
  nullable    = false
}

variable "existing_workspace_id" {
  type        = string
  description = "Resource id of an Azure ML workspace that is used instead of a new one; it must be keyless and in another resource group."
  default     = ""
  nullable    = false

  validation {
    condition     = var.existing_workspace_id == "" || lower(try(split("/", var.existing_workspace_id)[4], "")) != lower(var.existing_group_name == "" ? "rg-${var.environment_name}" : var.existing_group_name)
    error_message = "The workspace is in the resource group that Driftloop would be deployed to. Its identity could lift the immutability policy of the data versions there. Leave DRIFTLOOP_EXISTING_GROUP empty, or name another group."
  }

  validation {
    condition     = var.existing_workspace_id == "" || (var.existing_workspace_location != "" && var.existing_workspace_storage_id != "")
    error_message = "Region or storage account of the workspace are unknown. Run infra/read-existing.sh, or set DRIFTLOOP_EXISTING_WORKSPACE_LOCATION and DRIFTLOOP_EXISTING_WORKSPACE_STORAGE."
  }
}

variable "existing_workspace_location" {
  type        = string
  description = "Region of that workspace. infra/read-existing.sh reads this and what follows."
  default     = ""
  nullable    = false
}

variable "existing_workspace_storage_id" {
  type        = string
  description = "Resource id of that workspace's own storage account."
  default     = ""
  nullable    = false
}

variable "existing_workspace_registry_id" {
  type        = string
  description = "Resource id of that workspace's container registry; empty: it has none yet."
  default     = ""
  nullable    = false
}

variable "existing_workspace_topic_id" {
  type        = string
  description = "Resource id of the Event Grid system topic that the workspace has already; empty: one is made."
  default     = ""
  nullable    = false
}

variable "existing_blob_topic_id" {
  type        = string
  description = "Resource id of the Event Grid system topic that our storage account has already; empty: one is made."
  default     = ""
  nullable    = false
}

variable "autoscale" {
  type        = string
  description = "Whether loops may scale their deployments (serve.autoscale): the app may then make autoscale settings in its own resource group."
  default     = "off"
  nullable    = false

  validation {
    condition     = contains(["off", "on"], var.autoscale)
    error_message = "autoscale must be one of off, on."
  }
}

variable "landings" {
  type        = string
  description = "Resource ids of blob containers in other storage accounts, in which drops land, separated by commas."
  default     = ""
  nullable    = false

  validation {
    condition     = alltrue([for id in compact(split(",", replace(var.landings, " ", ""))) : can(regex("(^|,)${element(split("/", id), 8)}=[^,]", var.landing_locations))])
    error_message = "The region of an account is unknown. Run infra/read-existing.sh, or set DRIFTLOOP_LANDING_LOCATIONS."
  }
}

variable "landing_locations" {
  type        = string
  description = "Regions of their accounts, as NAME=REGION, separated by commas. infra/read-existing.sh reads this and what follows."
  default     = ""
  nullable    = false
}

variable "landing_topics" {
  type        = string
  description = "Resource ids of the system topics that their accounts have already, as NAME=ID, separated by commas; else one is made."
  default     = ""
  nullable    = false
}

variable "shared_registry_id" {
  type        = string
  description = "Resource id of the Azure ML registry through which models are promoted; it exists, in a region of the workspace too. Empty: none."
  default     = ""
  nullable    = false
}

variable "network" {
  type        = string
  description = "Whether everything has a public address that wants a token, or is reached through a virtual network."
  default     = "public"
  nullable    = false

  validation {
    condition     = contains(["public", "private"], var.network)
    error_message = "network must be one of public, private."
  }
}

variable "network_addresses" {
  type        = string
  description = "Address range of the virtual network that is made, a /25 or larger."
  default     = "10.77.0.0/24"
  nullable    = false

  validation {
    condition     = !startswith(var.network_addresses, "172.17.")
    error_message = "DRIFTLOOP_NETWORK_ADDRESSES cannot be of 172.17.0.0/16, which Docker uses on Azure ML's nodes."
  }
}

variable "existing_app_subnet_id" {
  type        = string
  description = "Resource id of a subnet for the app, delegated to Microsoft.App/environments and otherwise empty. Empty: a network is made."
  default     = ""
  nullable    = false

  validation {
    condition     = (var.existing_app_subnet_id == "") == (var.existing_endpoint_subnet_id == "")
    error_message = "Give both DRIFTLOOP_EXISTING_APP_SUBNET and DRIFTLOOP_EXISTING_ENDPOINT_SUBNET, or neither."
  }
}

variable "existing_endpoint_subnet_id" {
  type        = string
  description = "Resource id of the subnet for private endpoints, beside that."
  default     = ""
  nullable    = false
}

variable "existing_zones_group_id" {
  type        = string
  description = "Resource id of the resource group that has all private DNS zones, linked to the network. Empty: they are made."
  default     = ""
  nullable    = false
}

variable "existing_workspace_isolation" {
  type        = string
  description = "Isolation mode of an existing workspace's managed network, as infra/read-existing.sh reads it."
  default     = ""
  nullable    = false
}

variable "storage_access" {
  type        = string
  description = "Public access of our storage account in a private network. Both shut everybody out but trusted services: the second where Event Grid does not get through the first."
  default     = "disabled"
  nullable    = false

  validation {
    condition     = contains(["disabled", "selected-networks"], var.storage_access)
    error_message = "storage_access must be one of disabled, selected-networks."
  }
}

variable "app_access" {
  type        = string
  description = "Who reaches the public address of an app in a private network: Azure Monitor's action groups, or nobody."
  default     = "alerts"
  nullable    = false

  validation {
    condition     = contains(["alerts", "none"], var.app_access)
    error_message = "app_access must be one of alerts, none."
  }
}

variable "training_outbound" {
  type        = string
  description = "What training and serving reach from the managed network of a new workspace: the internet, or package indexes through a firewall that is paid for."
  default     = "internet"
  nullable    = false

  validation {
    condition     = contains(["internet", "approved"], var.training_outbound)
    error_message = "training_outbound must be one of internet, approved."
  }
}

variable "publisher_id" {
  type        = string
  description = "Object id of the person or service principal that publishes loops and runs `driftloop doctor`. Empty: nobody gets roles."
  default     = ""
  nullable    = false
}

variable "publisher_type" {
  type        = string
  description = "What the publisher is in Microsoft Entra."
  default     = "User"
  nullable    = false

  validation {
    condition     = contains(["User", "ServicePrincipal", "Group"], var.publisher_type)
    error_message = "publisher_type must be one of User, ServicePrincipal, Group."
  }
}

variable "auth_client_id" {
  type        = string
  description = "Client id of the app registration in front of the Function App; infra/register-app.sh makes it."
  nullable    = false

  validation {
    condition     = length(var.auth_client_id) >= 1
    error_message = "auth_client_id must not be empty."
  }
}

variable "auth_object_id" {
  type        = string
  description = "Object id of that app registration; Azure Monitor's action group asks for tokens with it."
  nullable    = false

  validation {
    condition     = length(var.auth_object_id) >= 1
    error_message = "auth_object_id must not be empty."
  }
}

variable "endpoints" {
  type        = string
  description = "Names of the online endpoints that exist already, separated by commas: their traffic logs and error alerts are switched on."
  default     = ""
  nullable    = false
}

variable "python_version" {
  type        = string
  description = "Python of the Function App; requirements.txt has hashes for each of these."
  default     = "3.12"
  nullable    = false

  validation {
    condition     = contains(["3.11", "3.12", "3.13"], var.python_version)
    error_message = "python_version must be one of 3.11, 3.12, 3.13."
  }
}

variable "instance_memory_mb" {
  type        = number
  description = "Memory of an instance of the Function App in MB; docs/operations.md has the arithmetic."
  default     = 4096
  nullable    = false

  validation {
    condition     = contains([512, 2048, 4096], var.instance_memory_mb)
    error_message = "instance_memory_mb must be one of 512, 2048, 4096."
  }
}

variable "storage_redundancy" {
  type        = string
  description = "Redundancy of the storage accounts. Not every region has zones."
  default     = "Standard_ZRS"
  nullable    = false

  validation {
    condition     = contains(["Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_GZRS", "Standard_RAGRS", "Standard_RAGZRS"], var.storage_redundancy)
    error_message = "storage_redundancy must be one of Standard_LRS, Standard_ZRS, Standard_GRS, Standard_GZRS, Standard_RAGRS, Standard_RAGZRS."
  }
}

variable "versions_immutable_days" {
  type        = number
  description = "Days for which a blob in the container of data versions can be neither changed nor deleted."
  default     = 365
  nullable    = false

  validation {
    condition     = var.versions_immutable_days >= 1 && var.versions_immutable_days <= 146000
    error_message = "versions_immutable_days must be 1 to 146000."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days for which logs are kept in Log Analytics."
  default     = 30
  nullable    = false

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days must be 30 to 730."
  }
}

variable "tick_schedule" {
  type        = string
  description = "When the tick runs: six-field NCRONTAB in UTC."
  default     = "*/30 * * * * *"
  nullable    = false
}

variable "sweep_schedule" {
  type        = string
  description = "When the sweep looks after the next quarter of the loops: six-field NCRONTAB in UTC."
  default     = "0 */2 * * * *"
  nullable    = false
}

variable "training_vm_size" {
  type        = string
  description = "Size of the nodes of the training cluster, which scales to zero."
  default     = "Standard_DS3_v2"
  nullable    = false
}

variable "training_max_nodes" {
  type        = number
  description = "Most nodes of the training cluster; 0 makes no cluster, for loops that train on serverless compute."
  default     = 2
  nullable    = false

  validation {
    condition     = var.training_max_nodes >= 0
    error_message = "training_max_nodes must be 0 or more."
  }

  validation {
    condition     = var.network == "public" || var.existing_workspace_id != "" || var.training_max_nodes >= 1
    error_message = "DRIFTLOOP_TRAINING_MAX_NODES must be 1 or more with DRIFTLOOP_NETWORK=private: the cluster builds the images."
  }
}

variable "notify_webhook_url" {
  type        = string
  description = "HTTPS address that receives what needs a person; it answers the handshake of CloudEvents webhooks. Empty: nobody is notified."
  default     = ""
  nullable    = false
  sensitive   = true
}

variable "lineage_url" {
  type        = string
  description = "HTTPS address that OpenLineage events are posted to. Empty: none are."
  default     = ""
  nullable    = false
}

variable "lineage_key" {
  type        = string
  description = "Key for that address, or a reference to one in a key vault."
  default     = ""
  nullable    = false
  sensitive   = true
}

variable "http_keys" {
  type        = string
  description = "Keys by host, as HOST=KEY with blanks between, for sources and signals that ask for one, or a reference to them in a key vault."
  default     = ""
  nullable    = false
  sensitive   = true
}

variable "cloud" {
  type        = string
  description = "The cloud that is deployed to, as the providers name it. Terraform does not know it by itself, as Bicep does."
  default     = "public"
  nullable    = false

  validation {
    condition     = contains(["public", "usgovernment", "china"], var.cloud)
    error_message = "cloud must be one of public, usgovernment, china."
  }
}
