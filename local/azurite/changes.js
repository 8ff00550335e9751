"use strict";
// Notes which containers have changed, loaded before Microsoft's emulator (`node --require`): it tells nobody of a
// write, and to list a container again and again costs more than all else that an idle local Azure does.
//
// One file a container, as long as it has been written to: local/events/watcher.py looks at its size.
const fs = require("fs");
const http = require("http");
const path = require("path");

const argument = (name) => process.argv[process.argv.indexOf(name) + 1];
const port = Number(argument("--blobPort"));
const folder = path.join(argument("--location"), "changes");
fs.mkdirSync(folder, { recursive: true });

// What the emulator has answered it has done. Express gives each answer a prototype of its own, below this one.
const end = http.ServerResponse.prototype.end;
http.ServerResponse.prototype.end = function (...given) {
  const request = this.req;
  if (request.socket.localPort === port && !["GET", "HEAD", "OPTIONS"].includes(request.method)) {
    const [, account, container] = (request.originalUrl || request.url).split("?")[0].split("/");
    const changed = container ? `${account}.${container}` : "all"; // a batch may name several
    if (/^[a-z0-9$.-]+$/.test(changed)) fs.appendFileSync(path.join(folder, changed), ".");
  }
  return end.apply(this, given);
};
