"use strict";
// A copy from another account comes to its end some time after it was asked for, or fails where its source was written
// again meanwhile; Microsoft's emulator, before which this is loaded (`node --require`), ends each at once.
//
// Sources: learn.microsoft.com/rest/api/storageservices/copy-blob ("can complete asynchronously"; "creates a committed
// blob of zero length before returning"; x-ms-copy-status; a source that changes fails the copy) and get-blob-properties
// (the ETag of a copy that is not complete is that of the empty blob).
const path = require("path");

const blob = (name) => require(path.join(path.dirname(process.argv[1]), "blob", name));
const { newEtag } = require(path.join(path.dirname(process.argv[1]), "common/utils/utils"));
const Store = blob("persistence/LokiBlobMetadataStore").default;
const TAKES_MS = 2000;

const copyAtOnce = Store.prototype.startCopyFromURL;
Store.prototype.startCopyFromURL = async function (context, source, target, ...more) {
  const whole = await copyAtOnce.call(this, context, source, target, ...more);
  if (source.account === target.account) return whole;
  const blobs = this.db.getCollection(this.BLOBS_COLLECTION);
  const find = (one) =>
    blobs.findOne({ accountName: one.account, containerName: one.container, name: one.blob, snapshot: "" });
  const write = (properties) => {
    const copied = find(target);
    copied.properties = properties;
    blobs.update(copied);
    return properties;
  };
  const etag = find(source).properties.etag;
  const empty = { ...whole, contentLength: 0, contentMD5: undefined, copyCompletionTime: undefined };
  setTimeout(() => {
    const [now, from] = [find(target), find(source)];
    if (now === null || now.properties.copyId !== whole.copyId) return;
    const ended = { lastModified: new Date(), copyCompletionTime: new Date(), etag: newEtag() };
    if (from !== null && from.properties.etag === etag) write({ ...whole, ...ended });
    else write({ ...empty, ...ended, copyStatus: "failed", copyStatusDescription: "412 ConditionNotMet" });
  }, TAKES_MS);
  return write({ ...empty, copyStatus: "pending", copyProgress: `0/${whole.contentLength}` });
};
