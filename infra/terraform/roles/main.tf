# Roles on one resource.
terraform {
  required_providers {
    azurerm = {
      source = "hashicorp/azurerm"
    }
  }
}

variable "scope" {
  type        = string
  description = "Resource id of what the roles are on."
}

variable "grants" {
  type        = list(object({ who = string, scope = string, key = string, role = string, type = string }))
  description = "Rows of identities.yaml on this scope."
}

variable "principal_ids" {
  type        = map(string)
  description = "Principal ids by identity."
}

# The name is Bicep's guid(scope, key, role): a UUID of version 5 in Resource Manager's own namespace.
resource "azurerm_role_assignment" "given" {
  for_each = { for row in var.grants : "${row.who} ${row.role}" => row }

  name               = uuidv5("11fb06fb-712d-4ddd-98c7-e71bbd588830", join("-", [var.scope, each.value.key, each.value.role]))
  scope              = var.scope
  role_definition_id = "/subscriptions/${split("/", var.scope)[2]}/providers/Microsoft.Authorization/roleDefinitions/${each.value.role}"
  principal_id       = var.principal_ids[each.value.who]
  principal_type     = each.value.type
}
