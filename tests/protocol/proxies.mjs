// Debian's nginx, HAProxy and Varnish in front of a server, on ports that the kernel gave, with folders of
// their own.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { until } from './server.mjs';

// A port that was free a moment ago: the proxies cannot ask for one themselves.
export const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

async function start(command, args, port, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  for (const pipe of [child.stdout, child.stderr]) pipe.on('data', (bytes) => (output += bytes));
  const url = `http://127.0.0.1:${port}`;
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}\n${output}`);
      return (await fetch(`${url}/healthz`).catch(() => undefined))?.status === 200;
    },
    `${command} answers\n${output}`,
    10_000,
  );
  return {
    url,
    port,
    stop: () => new Promise((resolve) => (child.once('exit', resolve), child.kill('SIGTERM'))),
  };
}

// What docs/how-to/behind-a-proxy.md shows, with the server's port in it.
const example = (name, server) =>
  readFileSync(new URL(`../../examples/proxies/${name}`, import.meta.url), 'utf8').replace(
    '127.0.0.1:8080',
    `127.0.0.1:${server.port}`,
  );
// Nothing but an address: HTTP/1.0 to the server, no upgrade, no cache.
const bare = (server) => `location / { proxy_pass http://127.0.0.1:${server.port}; }`;

// As it comes: buffering on, gzip on, and a cache for what may be cached.
export async function nginx(folder, server, { plain = false } = {}) {
  const location = plain ? bare(server) : example('nginx.conf', server);
  const port = await freePort();
  for (const name of ['cache', 'body', 'proxy']) mkdirSync(join(folder, name), { recursive: true });
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr warn; worker_processes 1; user root;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/body; uwsgi_temp_path ${folder}/body; scgi_temp_path ${folder}/body;
  gzip on; gzip_types *; gzip_min_length 1;
  proxy_cache_path ${folder}/cache keys_zone=c:1m;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port};
    proxy_cache c;
    ${location}
  }
}
`,
  );
  return start('nginx', ['-p', folder, '-c', config], port);
}

export async function haproxy(folder, server, { proxyProtocol = false } = {}) {
  const port = await freePort();
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  mode http
  bind 127.0.0.1:${port}
  default_backend belfry
${example('haproxy.cfg', server).trimEnd()}${proxyProtocol ? ' send-proxy-v2' : ''}
`,
  );
  return start('haproxy', ['-db', '-f', config], port);
}

// Its built-in rules, and the few lines that its manual asks for where streams are to pass.
export async function varnish(folder, server) {
  const port = await freePort();
  const config = join(folder, 'default.vcl');
  writeFileSync(
    config,
    `vcl 4.1;
backend b { .host = "127.0.0.1"; .port = "${server.port}"; }
sub vcl_recv {
  if (req.http.upgrade ~ "(?i)websocket") { return (pipe); }
}
sub vcl_pipe {
  if (req.http.upgrade) {
    set bereq.http.upgrade = req.http.upgrade;
    set bereq.http.connection = req.http.connection;
  }
}
sub vcl_backend_response {
  if (beresp.http.Content-Type ~ "event-stream|ndjson") { set beresp.do_stream = true; }
}
`,
  );
  const args = [
    '-j',
    'none',
    '-F',
    '-a',
    `127.0.0.1:${port}`,
    '-f',
    config,
    '-n',
    join(folder, 'varnish'),
    '-s',
    'default,32m',
  ];
  return start('varnishd', args, port);
}

export async function caddy(folder, server) {
  const port = await freePort();
  const config = join(folder, 'Caddyfile');
  const site = example('Caddyfile', server).trim();
  writeFileSync(config, `{\n  admin off\n  auto_https off\n}\nhttp://127.0.0.1:${port} {\n  ${site}\n}\n`);
  const env = { ...process.env, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, HOME: folder };
  return start('caddy', ['run', '--config', config, '--adapter', 'caddyfile'], port, { env });
}
