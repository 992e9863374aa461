// The booking site of the demo: node server/main.mjs --belfry URL --key FILE --secret FILE --data FOLDER
// [--port 3000] [--sql URL]: on that PostgreSQL, which tells Belfry itself
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Publisher } from './publish.mjs';
import { routes } from './routes.mjs';
import { userOf } from './signatures.mjs';
import { SqlStore } from './sql_store.mjs';
import { Conflict, Store } from './store.mjs';

const PAGES = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css',
};
const BODY_MAX = 64 * 1024;

const { values } = parseArgs({
  options: {
    belfry: { type: 'string' },
    key: { type: 'string' },
    secret: { type: 'string' },
    data: { type: 'string' },
    port: { type: 'string', default: '3000' },
    'charge-seconds': { type: 'string' },
    sql: { type: 'string' },
  },
});
for (const name of ['belfry', 'key', 'secret', 'data'])
  if (!values[name]) {
    console.error(`--${name} is missing. Usually all of this is started by ./dev demo.`);
    process.exit(2);
  }

const read = (file) => readFileSync(file, 'utf8').trim();
mkdirSync(values.data, { recursive: true });
const store = values.sql ? await SqlStore.open(values.sql) : new Store(join(values.data, 'booking.db'));
// With --sql there is nothing to publish: the database does it.
const publisher = values.sql
  ? { url: values.belfry, wake() {}, stop() {} }
  : new Publisher(store, { url: values.belfry, key: read(values.key) });
const secrets = {
  session: randomBytes(32),
  bank: randomBytes(32),
  belfry: read(values.secret),
  ...(values['charge-seconds'] ? { chargeSeconds: Number(values['charge-seconds']) } : {}),
};
let origin = '';
const table = routes({ store, publisher, secrets, origin: () => origin });

function routeOf(method, path) {
  for (const [wanted, pattern, needsUser, answer] of table) {
    if (wanted !== method) continue;
    const names = pattern.split('/');
    const parts = path.split('/');
    if (names.length !== parts.length) continue;
    if (names.every((name, at) => name.startsWith(':') || name === parts[at]))
      return { needsUser, answer, id: parts.at(-1) };
  }
  return null;
}

async function bodyOf(request) {
  let raw = '';
  for await (const piece of request) {
    raw += piece;
    if (raw.length > BODY_MAX) throw Object.assign(new Error('The body is too large.'), { status: 413 });
  }
  try {
    return [raw, raw ? JSON.parse(raw) : {}];
  } catch {
    throw Object.assign(new Error('The body is not JSON.'), { status: 400 });
  }
}

async function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  const route = routeOf(request.method, pathname);
  const send = (status, body, headers = {}) => {
    response.writeHead(status, {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      ...headers,
    });
    response.end(JSON.stringify(body));
  };
  if (!route) return page(pathname, response) || send(404, { message: 'There is nothing here.' });
  try {
    const cookie = /(?:^|; )session=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
    const user = cookie ? userOf(secrets.session, cookie) : null;
    if (route.needsUser && !user) return send(401, { message: 'Sign in first.' });
    const [raw, body] = await bodyOf(request);
    return send(
      ...(await route.answer({
        user,
        body,
        raw,
        id: route.id,
        query: searchParams,
        headers: request.headers,
      })),
    );
  } catch (error) {
    const status = error.status ?? (error instanceof Conflict ? 409 : 500);
    if (status === 500) console.error(error);
    return send(status, { message: status === 500 ? 'Something went wrong.' : error.message });
  }
}

function page(path, response) {
  const file = join(PAGES, normalize(path === '/' ? 'index.html' : path));
  if (!file.startsWith(PAGES) || !existsSync(file) || !TYPES[extname(file)]) return false;
  response.writeHead(200, { 'Content-Type': TYPES[extname(file)], 'Cache-Control': 'no-cache' });
  response.end(readFileSync(file));
  return true;
}

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(values.port), '127.0.0.1', () => {
  origin = `http://127.0.0.1:${server.address().port}`;
  console.log(`Booking site: http://localhost:${server.address().port}`);
  void publisher.wake(); // what was left by the last time
});
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    publisher.stop();
    server.close();
    server.closeAllConnections();
    store.close();
    process.exit(0);
  });
