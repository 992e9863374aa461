// Starts the real binary for a test, and speaks to it as a backend does. The kernel chooses the port; the
// data lies in a folder of its own, which goes with the test.
import { spawn } from 'node:child_process';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const binary = process.env.BELFRY ?? new URL('../../build/release/belfry', import.meta.url).pathname;

const base64url = (value) => Buffer.from(value).toString('base64url');

// Signals that a program ends by when it is at fault; no test sends one to a server.
const faults = new Set(['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGSYS', 'SIGTRAP']);

export class Server {
  constructor(options = {}) {
    this.options = options;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'belfry-'));
    this.data = join(this.folder, 'data');
    this.port = options.port ?? 0;
    this.host = options.host ?? '127.0.0.1';
    this.log = '';
  }

  // One that does not start leaves nothing behind.
  static async start(options) {
    const server = new Server(options);
    try {
      await server.launch();
    } catch (error) {
      await server.end();
      throw error;
    }
    return server;
  }

  // Starts the process, on the port of the last time if there was one, and waits until it is ready.
  async launch() {
    const before = this.options.before ?? [];
    const place = ['--listen', `${this.host}:${this.port}`, '--data', this.data];
    const dev = this.options.tls ? ['dev', '--tls'] : ['dev'];
    if (this.options.devConfig !== undefined) {
      writeFileSync(join(this.folder, 'dev.toml'), this.options.devConfig);
      dev.push('-c', join(this.folder, 'dev.toml'));
    }
    const mode = this.options.config === undefined ? dev : ['serve', '-c', this.writeConfig()];
    const command = [...before, binary, ...mode, ...place];
    const environment = { ...process.env, ...this.options.environment };
    this.child = spawn(command[0], command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
    });
    this.exited = once(this.child, 'exit');
    this.child.stderr.on('data', (bytes) => {
      this.log += bytes;
    });
    const { child } = this;
    child.on('close', (_, signal) => {
      const said = this.log.match(/^.*(?:CHECK failed|Sanitizer).*$/m)?.[0];
      if (!said && !faults.has(signal)) return;
      this.fault = `the server ended by itself: ${said ?? signal}`;
      console.error(this.fault);
    });
    this.closed = once(child, 'close');
    let text = '';
    this.url = await new Promise((resolve, reject) => {
      this.child.stdout.on('data', (bytes) => {
        text += bytes;
        const found = text.match(
          this.options.config === undefined
            ? /(https?:\/\/[\d.]+:\d+)[\s\S]*Ctrl-C/
            : /(https?:\/\/[\d.]+:\d+)\n/,
        );
        if (found) resolve(found[1]);
      });
      this.exited.then(([code]) =>
        reject(new Error(`belfry ended with ${code} before it was ready\n${this.log}`)),
      );
    });
    this.port = Number(new URL(this.url).port);
    const secrets = this.options.config === undefined ? this.data : this.folder;
    if (this.options.tls) this.certificate = readFileSync(join(this.data, 'dev_certificate.pem'));
    this.key = readFileSync(join(secrets, 'backend_key'), 'utf8').trim();
    this.secret = readFileSync(join(secrets, 'jwt_secret'), 'utf8').trim();
  }

  // With `config` a server as in production: its TOML, with a secret and a backend key of our own.
  writeConfig() {
    const file = join(this.folder, 'belfry.toml');
    if (existsSync(file)) return file;
    writeFileSync(join(this.folder, 'jwt_secret'), randomBytes(32).toString('hex'));
    writeFileSync(join(this.folder, 'backend_key'), `bk_test_${randomBytes(24).toString('hex')}`);
    const secret = `jwt_secret_file = "${this.folder}/jwt_secret"\n`;
    const auth = `${secret}backend_key_files = ["${this.folder}/backend_key"]\n`;
    const { auth: more = '', ...tables } = this.options.config;
    let text = `[auth]\n${auth}${more}`;
    for (const [name, body] of Object.entries(tables)) text += `\n[${name}]\n${body}`;
    writeFileSync(file, text);
    return file;
  }

  // Of belfry itself, also where another program runs it.
  get pid() {
    const { pid } = this.child;
    if (!this.options.before) return pid;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]) || pid;
  }

  async kill(signal = 'SIGKILL') {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      try {
        process.kill(this.pid, signal);
      } catch {
        /* it has gone meanwhile */
      }
    }
    return this.exited;
  }

  // Ends the process, and takes the folder away unless it is another's.
  async end() {
    if (this.child) {
      await this.kill();
      await this.closed;
    }
    if (!this.options.folder) rmSync(this.folder, { recursive: true, force: true });
  }

  async stop() {
    await this.end();
    if (this.fault) throw new Error(this.fault);
  }

  token(subscribe = ['#'], { user = 'ana', ttl = 3600, publish = [], now = Date.now() } = {}) {
    const issued = Math.floor(now / 1000);
    const claims = { sub: user, iat: issued, exp: issued + ttl };
    if (subscribe) claims.belfry = { subscribe, publish };
    const text = `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url(JSON.stringify(claims))}`;
    return `${text}.${createHmac('sha256', this.secret).update(text).digest('base64url')}`;
  }

  bearer(token = this.token()) {
    return { Authorization: `Bearer ${token}` };
  }

  post(body, headers = {}) {
    return fetch(`${this.url}/v1/events`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...this.bearer(this.key), ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    });
  }

  // Publishes one event or a batch, and gives where each went.
  async publish(body, headers) {
    const answer = await this.post(body, headers);
    const text = await answer.text();
    if (answer.status !== 201 && answer.status !== 200)
      throw new Error(`publish: ${answer.status} ${text}`);
    return JSON.parse(text).events;
  }

  // Any request with a JSON body, as the backend unless a token is given. Gives {status, body}.
  async call(method, path, body, token = this.key) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { ...this.bearer(token), ...(body ? { 'Content-Type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    return { status: answer.status, body: text && JSON.parse(text) };
  }

  address(topics, rest = {}) {
    const query = new URLSearchParams();
    for (const topic of [topics].flat()) query.append('topic', topic);
    for (const [name, values] of Object.entries(rest))
      for (const value of [values].flat()) query.append(name, value);
    return `${this.url}/v1/events?${query}`;
  }

  get(topics, rest = {}, headers = {}) {
    return fetch(this.address(topics, rest), {
      headers: { ...this.bearer(), Accept: 'application/json', ...headers },
    });
  }

  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(text.match(new RegExp(`^${name} (.*)$`, 'm'))?.[1] ?? NaN);
  }
}

export const unique = () => randomUUID();

// Resolves when the condition holds; asks again and again, and fails loudly when it never does.
export async function until(condition, what, milliseconds = 15_000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}
