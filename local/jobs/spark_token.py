"""How a Spark application signs in: its driver asks the cluster's token service, under the token of its job.

It is what `azure.ai.ml.identity.AzureMLOnBehalfOfCredential` asks inside a Spark job (azure-ai-ml 1.28 to 1.35,
identity/_credentials/_AzureMLSparkOnBehalfOfCredential.py), and with what Microsoft's own monitoring jobs, submitted as
a managed identity, read Blob accounts without credentials (Azure/azureml-assets, model_monitoring, store_url.py). The
identity endpoint of a virtual machine or of App Service is not there.
"""

from __future__ import annotations

import hashlib
import hmac

from local.identity.exceptions import Forbidden, ResourceMissing, Unauthorized
from local.identity.roles import PUBLISHER, object_id
from local.jobs import compute
from local.jobs.runs import Run, Status
from local.service import Service
from local.settings import Settings
from local.state import Document

PATH = "/api/v1/proxy/obotoken/v1.0"
_OPERATION = "getuseraccesstokenforspark"


def of_run(settings: Settings, run_id: str) -> str:
    """The token of a job, by which its driver gets others."""
    return hmac.new(settings.signing_key.encode(), f"spark {run_id}".encode(), hashlib.sha256).hexdigest()


def variables(settings: Settings, run_id: str) -> dict[str, str]:
    """What the driver knows; a certificate is trusted here that on Azure is known to everybody."""
    return {
        "AZUREML_DATAPREP_TOKEN_PROVIDER": "sparkobo",
        "AZUREML_OBO_CANARY_TOKEN": of_run(settings, run_id),
        "AZUREML_OBO_SERVICE_ENDPOINT": settings.arm.removeprefix("https://"),
        "AZUREML_OBO_USER_TOKEN_FOR_SPARK_RETRIEVAL_API": _OPERATION,
        "REQUESTS_CA_BUNDLE": str(settings.bundle),
    }


def conf(settings: Settings, run_id: str) -> dict[str, str]:
    """Where it asks, as Spark's settings say."""
    return {
        "spark.tokenServiceEndpoint": settings.arm.removeprefix("https://"),
        "spark.synapse.clusteridentifier": run_id,
    }


def issue(service: Service, run: Run | None, asked: Document) -> Document:
    """A token of whom the job runs as; none for a job that does not run."""
    if run is None or run.status is not Status.RUNNING:
        raise Unauthorized("The job does not run.")
    if not hmac.compare_digest(str(asked.get("oboToken")), of_run(service.settings, run.id)):
        raise Unauthorized("The token is not the one of this job.")
    resource = str(asked.get("resource") or "")
    if not resource:
        raise ResourceMissing
    who = compute.identity_of(run.plan_step) or PUBLISHER
    if "storage.azure" in resource and not service.roles.stores(who):
        raise Forbidden(object_id(who), "Microsoft.Storage/storageAccounts/*", "account")
    token, ends = service.tokens.issue(resource.removesuffix("/.default"), who)
    return {"token": token, "expires_on": str(ends), "resource": resource}
