// nephele, from npm. What it needs is beside the program, in NODE_MODULES.
import { createRequire } from "node:module";

const load = createRequire("@NODE_MODULES@/");
const express = load("express");
const nephele = await import(load.resolve("nephele"));
const { default: Files } = await import(load.resolve("@nephele/adapter-file-system"));
const { default: Anybody } = await import(load.resolve("@nephele/authenticator-none"));

const site = express();
site.use("/", nephele.default({ adapter: new Files({ root: "@ROOT@" }), authenticator: new Anybody() }));
site.listen(@PORT@, "@ADDRESS@");
