// What a team writes with ws: a set of sockets for each topic, one send() each.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const topics = new Map();
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (bytes) => (body += bytes));
  request.on('end', () => {
    for (const socket of topics.get(request.url) ?? []) socket.send(body);
    response.writeHead(201, { 'Content-Length': 2 }).end('{}');
  });
});
server.keepAliveTimeout = 3_600_000;
server.on('upgrade', (request, socket, head) =>
  sockets.handleUpgrade(request, socket, head, (opened) => {
    const all = topics.get(request.url) ?? topics.set(request.url, new Set()).get(request.url);
    all.add(opened);
    opened.on('close', () => all.delete(opened));
    opened.on('error', () => {});
  }),
);
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
