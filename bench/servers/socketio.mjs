// What a team writes with socket.io: a room for each topic.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const server = createServer();
server.keepAliveTimeout = 3_600_000;
const io = new Server(server, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  pingInterval: 600_000,
});
io.on('connection', (socket) => {
  socket.join(`/${socket.handshake.query.topic}`);
  socket.emit('subscribed');
});
const answer = server.listeners('request').slice();
server.removeAllListeners('request');
server.on('request', (request, response) => {
  if (request.method !== 'POST') return answer.forEach((one) => one(request, response));
  let body = '';
  request.on('data', (bytes) => (body += bytes));
  request.on('end', () => {
    io.to(request.url).emit('event', JSON.parse(body));
    response.writeHead(201, { 'Content-Length': 2 }).end('{}');
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
