"""Every refusal of a query has the shape and the codes of Log Analytics' own answers.

QueryRefused
  QuerySemanticError    it names what is not there, or mixes types (400, SemanticError)
  QueryNotEmulated      Azure would answer it, the local Azure does not (501)
"""


class QueryRefused(Exception):
    status = 400
    code = "BadArgumentError"
    inner_code = "BadArgumentError"

    def body(self) -> dict[str, object]:
        """What Log Analytics sends; `LogsQueryClient` turns it into an HttpResponseError."""
        inner = {"code": self.inner_code, "message": str(self)}
        message = f"The request had some invalid properties: {self}"
        return {"error": {"message": message, "code": self.code, "innererror": inner}}


class QuerySemanticError(QueryRefused):
    inner_code = "SemanticError"


class QueryNotEmulated(QueryRefused):
    status = 501
    code = "NotImplemented"
    inner_code = "NotEmulatedLocally"


def not_emulated(what: str) -> QueryNotEmulated:
    return QueryNotEmulated(
        f"{what} is not among the queries that the local Azure answers (local/logs/query.py lists them); "
        "Azure may answer it: extend that file, or ask for rows and compute in the client."
    )
