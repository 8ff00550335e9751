"use strict";
// What Azure Storage refuses and Microsoft's emulator lets through; loaded before it (`node --require`).
//
// Sources, all learn.microsoft.com: rest/api/storageservices/get-user-delegation-key (who may ask, for how long),
// create-user-delegation-sas (a SAS allows what its permissions and the roles of its signer both allow; the string to
// sign of each version), AllowSharedKeyAccess in the reference of storage accounts (keys, and SAS signed with them, are
// refused; SAS signed with a user delegation key are not). The newest string to sign is the SDK's, azure-storage-blob
// 12.31, _shared_access_signature.py.
const path = require("path");

const dist = path.dirname(process.argv[1]);
const blob = (name) => require(path.join(dist, "blob", name));
const { computeHMACSHA256 } = require(path.join(dist, "common/utils/utils"));
const signatures = blob("authentication/IBlobSASSignatureValues");
const AccountSas = blob("authentication/AccountSASAuthenticator").default;
const BlobSas = blob("authentication/BlobSASAuthenticator").default;
const SharedKey = blob("authentication/BlobSharedKeyAuthenticator").default;
const ServiceHandler = blob("handlers/ServiceHandler").default;
const StorageError = blob("errors/StorageError").default;
const errors = blob("errors/StorageErrorFactory").default;

// {object id: {delegates, reads, writes: [scopes]}}, {ours: [containers]}: local/identity/roles.py
const roles = JSON.parse(process.env.LOCAL_BLOB_ROLES);
const HEADERS_SIGNED_SINCE = "2026-04-06";
const LONGEST_MS = 7 * 24 * 3600 * 1000;
const SKEW_MS = 15 * 60 * 1000;

function scopesOf(account, container) {
  if (account === roles.partner) return ["landing-account", "landing"];
  if (!roles.ours.includes(container)) return ["workspace-account", container];
  return ["account", container === "landing" ? "own-landing" : container];
}

function may(principal, right, scopes) {
  if (principal === roles.platform) return true;
  const held = (roles.held[principal] || {})[right] || [];
  return scopes.some((scope) => held.includes(scope));
}

function refuse(context, code, text) {
  return new StorageError(403, code, text, context.contextId);
}

function keyless(context) {
  const text = "Key based authentication is not permitted on this storage account.";
  return refuse(context, "KeyBasedAuthenticationNotPermitted", text);
}

const byKey = SharedKey.prototype.validate;
SharedKey.prototype.validate = function (request, context) {
  if ((request.getHeader("authorization") || "").startsWith("SharedKey")) throw keyless(context);
  return byKey.call(this, request, context);
};

AccountSas.prototype.validate = async function (request, context) {
  if (request.getQuery("sig") !== undefined && request.getQuery("ss") !== undefined) throw keyless(context);
  return undefined;
};

const bySas = BlobSas.prototype.validate;
BlobSas.prototype.validate = async function (request, context) {
  if (request.getQuery("sig") === undefined || request.getQuery("sr") === undefined) return undefined;
  const signer = request.getQuery("skoid");
  if (signer === undefined) throw keyless(context);
  const scopes = scopesOf(context.context.account, context.context.container);
  let passed;
  try {
    passed = await bySas.call(this, request, context);
  } catch (error) {
    if (error.storageErrorCode !== "AuthorizationFailure") throw error;
    throw errors.getAuthenticationFailed(context.contextId, "Signature not valid in the specified time frame");
  }
  if (!passed) throw errors.getAuthenticationFailed(context.contextId, "Signature did not match.");
  const right = ["GET", "HEAD"].includes(request.getMethod()) ? "reads" : "writes";
  if (!may(signer, "delegates", scopes.slice(0, 1)) || !may(signer, right, scopes)) {
    throw errors.getAuthorizationPermissionMismatch(context.contextId);
  }
  return true;
};

// A header and a parameter that a request must have may be signed, too: nobody here does.
const signed = signatures.generateBlobSASSignatureWithUDK;
signatures.generateBlobSASSignatureWithUDK = function (values, resource, account, key) {
  const [signature, text] = signed(values, resource, account, key);
  if (values.version < HEADERS_SIGNED_SINCE) return [signature, text];
  const lines = text.split("\n");
  lines.splice(lines.length - 5, 0, "", "");
  return [computeHMACSHA256(lines.join("\n"), key), lines.join("\n")];
};

const delegated = ServiceHandler.prototype.getUserDelegationKey;
ServiceHandler.prototype.getUserDelegationKey = async function (asked, options, context) {
  const token = context.request.getHeader("authorization").split(" ")[1];
  const { oid } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  const partner = context.context.account === roles.partner;
  const accounts = partner ? ["landing-account"] : ["account", "workspace-account"];
  if (!may(oid, "delegates", accounts)) throw errors.getAuthorizationPermissionMismatch(context.contextId);
  const [begins, ends] = [Date.parse(asked.start), Date.parse(asked.expiry)];
  const now = Date.now();
  if (!(begins < ends && now < ends && ends - now <= LONGEST_MS + SKEW_MS && ends - begins <= LONGEST_MS)) {
    const text = "The value for one of the XML nodes is not in the correct format.";
    throw new StorageError(400, "InvalidXmlNodeValue", text, context.contextId);
  }
  return delegated.call(this, asked, options, context);
};
