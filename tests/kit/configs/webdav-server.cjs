// webdav-server, from npm.
const { createRequire } = require("node:module");

const webdav = createRequire("@NODE_MODULES@/")("webdav-server").v2;
const server = new webdav.WebDAVServer({ hostname: "@ADDRESS@", port: @PORT@ });
server.setFileSystem("/", new webdav.PhysicalFileSystem("@ROOT@"), (done) => {
    if (!done) throw new Error("no file system");
    server.start();
});
