// Pushpin holds connections on behalf of a backend, which says by GRIP headers which channel each is for:
// this is that backend, and what starts Pushpin and the HTTP client that it asks with (zurl).
// node pushpin.mjs FOLDER, which holds pushpin.conf and zurl.conf.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';

const folder = process.argv[2];

const backend = createServer((request, response) => {
  const channel = request.url.slice(1);
  request.resume();
  if (request.headers['content-type'] !== 'application/websocket-events') {
    const hold = { 'Grip-Hold': 'stream', 'Grip-Channel': channel };
    response.writeHead(200, { 'Content-Type': 'text/event-stream', ...hold }).end(':\n\n');
    return;
  }
  // WebSocket over HTTP: the opening is answered with the subscription.
  const subscribe = `c:${JSON.stringify({ type: 'subscribe', channel })}`;
  const body = `OPEN\r\nTEXT ${subscribe.length.toString(16)}\r\n${subscribe}\r\n`;
  const grip = { 'Content-Type': 'application/websocket-events', 'Sec-WebSocket-Extensions': 'grip' };
  response.writeHead(200, grip).end(body);
});

backend.keepAliveTimeout = 3_600_000;
backend.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const route = `* 127.0.0.1:${backend.address().port},over_http`;
  const children = [
    spawn('zurl', [`--config=${folder}/zurl.conf`], { stdio: 'ignore' }),
    spawn('pushpin', [`--config=${folder}/pushpin.conf`, `--route=${route}`], { stdio: 'ignore' }),
  ];
  const end = () => {
    for (const child of children) child.kill();
    process.exit();
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  for (const child of children) child.on('exit', end);
});
