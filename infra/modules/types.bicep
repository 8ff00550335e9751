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
