// Usage: node proxy.mjs PORT UPSTREAM_PORT
import { randomUUID } from "node:crypto";
import proxy from "@fastify/http-proxy";
import Fastify from "fastify";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const hour = 3_600_000; // milliseconds

const app = Fastify({ logger: false, keepAliveTimeout: hour, genReqId: () => randomUUID() });

await app.register(proxy, {
  upstream: `http://127.0.0.1:${upstreamPort}`,
  undici: { connections: 512, keepAliveTimeout: hour },
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => ({
      ...headers,
      host: request.headers.host,
      "x-correlation-id": request.id,
      "x-forwarded-for": request.ip,
      "x-forwarded-proto": request.protocol,
      "x-forwarded-host": request.host,
    }),
    rewriteHeaders: (headers, request) => ({ ...headers, "x-correlation-id": request.id }),
  },
});

await app.listen({ host: "127.0.0.1", port, backlog: 4096 });
