# Everything that Driftloop needs on Azure, in one resource group, without a key: the same as ../main.bicep, by Terraform.
# tests/infra compares the two, resource by resource. azapi makes what Bicep makes, with the same bodies; azurerm makes
# groups, identities and roles, whose principals it waits for.
terraform {
  required_version = ">= 1.9"

  required_providers {
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.10"
    }
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.20, < 6.0"
    }
  }
}

# Which subscription and who: ARM_SUBSCRIPTION_ID, ARM_TENANT_ID and the sign-in of `az`, as azd and the pipelines set them.
provider "azapi" {
  environment = var.cloud
}

provider "azurerm" {
  environment                     = var.cloud
  resource_provider_registrations = "none"
  resource_providers_to_register = [
    "Microsoft.AlertsManagement",
    "Microsoft.App",
    "Microsoft.ContainerRegistry",
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "Microsoft.Web",
  ]

  features {}
}

data "azurerm_client_config" "current" {}
