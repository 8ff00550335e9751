// An endpoint's error alert. It counts what the canary counts: the service answers 424 when the model failed, with the
// model's own code in ModelStatusCode. Requests of Driftloop's own are left out.
import { tags as tagsOf } from 'types.bicep'

@description('Name of the online endpoint.')
param endpointName string

@description('Azure region of the Log Analytics workspace.')
param location string

@description('Tags of every resource.')
param tags tagsOf

@description('Log Analytics workspace that has the traffic log.')
param logsId string

@description('Action groups that put a hint into the queue; none where nothing can reach the app.')
param actionGroupIds string[]

var query = '''
AmlOnlineEndpointTrafficLog
| where EndpointName == "{0}" and XMSClientRequestId !startswith "driftloop-"
| summarize Share = 100.0 * countif(toint(ResponseCode) == 424 or toint(ResponseCode) >= 500 or toint(ModelStatusCode) >= 500) / count()
'''

resource errors 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: '${endpointName}-errors'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${endpointName}-errors'
    description: 'More than one in twenty requests failed. A loop whose retrain.alerts matches this name takes it as a reason.'
    enabled: true
    severity: 2
    scopes: [logsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    autoMitigate: true
    // The table exists only once a first row was written.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: format(query, endpointName)
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'Share'
          operator: 'GreaterThan'
          threshold: 5
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: actionGroupIds }
  }
}
