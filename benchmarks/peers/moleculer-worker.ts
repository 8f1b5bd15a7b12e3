/** The other process of the benchmark `commands` for Moleculer: an action that echoes. */
import { programInput, reportToParent } from "../child-process.js";
import { createBroker } from "./moleculer.js";

const { servers } = programInput() as { readonly servers: string };

const broker = createBroker(servers, "worker");
broker.createService({ name: "worker", actions: { echo: ({ params }: { params: unknown }) => params } });
await broker.start();
reportToParent({ ready: true });
