/** A TCP proxy on 127.0.0.1 that can go silent (half-open connections) or cut what runs through it. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Forwards nothing any more in either direction, without closing anything; new connections hang as well. */
  pause(): void;
  /** Like `pause`, but new connections work: the other host has died, and another one has taken its address. */
  freeze(): void;
  resume(): void;
  /** Breaks the present connections; new ones are accepted. */
  cut(): void;
  /** Breaks so many of the next connections when the client first says something: in the middle of a handshake. */
  cutNext(count: number): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  let paused = false;
  let toCut = 0;
  const server = createServer((client) => {
    if (toCut-- > 0) client.once("data", () => client.destroy());
    const upstream = connect(targetPort, "127.0.0.1");
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      forward(from, to);
  });

  function forward(from: Socket, to: Socket): void {
    sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => {
      if (!silent.has(from)) from.resume();
    });
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      silent.delete(from);
      to.destroy();
    });
    if (paused) silence(from);
  }

  function silence(socket: Socket): void {
    silent.add(socket);
    socket.pause();
  }

  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  };
  return {
    port: (server.address() as AddressInfo).port,
    pause: () => {
      paused = true;
      for (const socket of sockets) silence(socket);
    },
    freeze: () => {
      for (const socket of sockets) silence(socket);
    },
    resume: () => {
      paused = false;
      silent.clear();
      for (const socket of sockets) socket.resume();
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    cutNext: (count) => {
      toCut = count;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
