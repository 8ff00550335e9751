// Types that several modules share.

@export()
@description('Tags of a resource, by name.')
type tags = { *: string }

@export()
@description('A row of identities.yaml, ready to be given. `key` is known before the deployment starts, and unique to the identity.')
type grant = {
  who: string
  scope: string
  key: string
  roleId: string
  type: 'Group' | 'ServicePrincipal' | 'User'
}

@export()
@description('Principal id of each identity of identities.yaml.')
type principals = { *: string }

@export()
@description('A private endpoint: its name, what it leads to, which part of that, and the DNS zones that name it.')
type link = { name: string, resourceId: string, group: string, zones: string[] }

@export()
@description('Whether a storage account has a public address, and what it does with callers there whom no rule names.')
type firewall = { publicNetworkAccess: 'Disabled' | 'Enabled', defaultAction: 'Allow' | 'Deny' }
