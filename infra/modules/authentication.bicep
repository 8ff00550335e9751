// Nobody reaches a function without a token of this tenant for this app; roles in the token say what the caller may do.

@description('Name of the Function App.')
param appName string

@description('Client id of the app registration, which has the roles Driftloop.Look, Driftloop.Act and ActionGroupsSecureWebhook.')
param authClientId string

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource platform 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true, runtimeVersion: '~1' }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: authClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: { allowedAudiences: ['api://${authClientId}', authClientId] }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
}
