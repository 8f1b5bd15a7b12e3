/** The three ways to a transport over NATS. */
import { connect } from "@nats-io/transport-node";
import { connect as connectNats2 } from "nats";
import { connectNats, natsTransport } from "../../src/nats.js";
import type { Open } from "./nats-conformance.js";

export const openDefault: Open = async (url, name, settings) => {
  const transport = await connectNats({ servers: url, name, ...settings });
  return { transport, close: () => transport.close() };
};

/** How a user opens a connection that a supervisor can live with. */
function userOptions(url: string, name: string) {
  const { username, password, host } = new URL(url);
  return {
    servers: host,
    name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    ...(username !== "" && { user: username, pass: password }),
  };
}

export const openUser3: Open = async (url, name, settings) => {
  const connection = await connect(userOptions(url, name));
  return closable(
    () => natsTransport({ connection, ...settings }),
    () => connection.close(),
  );
};

export const openUser2: Open = async (url, name, settings) => {
  const connection = await connectNats2(userOptions(url, name));
  return closable(
    () => natsTransport({ connection, ...settings }),
    () => connection.close(),
  );
};

async function closable(create: () => ReturnType<typeof natsTransport>, close: () => Promise<void>) {
  try {
    const transport = create();
    return {
      transport,
      close: async () => {
        await transport.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
