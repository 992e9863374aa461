// A data folder that an earlier Belfry wrote (tests/data/schema-N), opened by the binary of today:
//
//   data/          as that Belfry left it, when it was stopped
//   belfry.toml    its configuration; FOLDER stands for where the folder is
//   jwt_secret, backend_key
//   move.sql       makes the rows that end by the clock :by milliseconds younger, so that the folder is
//                  never older than on the day it was written, nor younger
//   expected.json  `written`: when; `steps`: what is asked of the opened folder, with the answers
//                  (data_folder_answers.mjs says what of them)
//
// A folder is never changed once it has landed. It is written by write_data_folder.mjs.

import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import WebSocket from 'ws';

import { SseClient } from './clients.mjs';
import { Server, binary, until } from './server.mjs';

export const shelf = new URL('../data/', import.meta.url).pathname;
const libfaketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const source = new URL('../../src/store/sqlite/schema.cc', import.meta.url).pathname;

/** The schema that the binary of today writes. */
export const schemaNow = () => Number(readFileSync(source, 'utf8').match(/kVersion = (\d+);/)[1]);

export const schemasKept = () =>
  readdirSync(shelf)
    .filter((name) => /^schema-\d+$/.test(name))
    .map((name) => Number(name.slice('schema-'.length)))
    .sort((a, b) => a - b);

export const run = (...words) => execFileSync(binary, words, { encoding: 'utf8', stdio: 'pipe' });

/** Python's own SQLite, because Node's is younger than the oldest Node that we use. */
export const sqlite = (file, text) =>
  JSON.parse(
    execFileSync(
      'python3',
      [
        '-c',
        `import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
rows = [database.execute(one).fetchall() for one in sys.stdin.read().split(";") if one.strip()]
print(json.dumps(rows[-1]))
database.close()`,
        file,
      ],
      { encoding: 'utf8', input: text },
    ),
  );

/** How many rows each table holds, as `belfry doctor` tells it; the server need not be well. */
export function rowsOf(doctor) {
  const table = doctor.split('what grows')[1].split('\n').slice(1);
  const rows = {};
  for (const line of table) {
    const found = line.match(/^ {6}(\w+(?:, \w+)?) +(\d+|-) /);
    if (found && found[2] !== '-') rows[found[1]] = Number(found[2]);
  }
  return rows;
}

/** The environment of a program whose clock is ahead by so much; behind, if it is less than nothing. */
export function clockAhead(ms) {
  if (!existsSync(libfaketime)) throw new Error(`${libfaketime} is missing`);
  const seconds = `${ms < 0 ? '' : '+'}${ms / 1000}`;
  return { LD_PRELOAD: libfaketime, FAKETIME: seconds, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}

// Before it was written, every token that could be issued would be older than the revocation in it.
const revokedEarlier = 'UPDATE revocations SET not_before = not_before + :by - 60000;';

/** A copy of the folder, opened; `by` ms have passed since it was written, and its rows do not know. */
export class OpenedFolder {
  /** `ahead`: by how much the server's clock is ahead of ours. */
  static async open(folder, { ahead = 0 } = {}) {
    const opened = new OpenedFolder();
    opened.ahead = ahead;
    opened.folder = mkdtempSync(join(tmpdir(), 'belfry-kept-'));
    try {
      await opened.start(folder);
    } catch (error) {
      rmSync(opened.folder, { recursive: true, force: true });
      throw error;
    }
    return opened;
  }

  async start(folder) {
    cpSync(folder, this.folder, { recursive: true });
    const read = (name) => readFileSync(join(this.folder, name), 'utf8');
    writeFileSync(join(this.folder, 'belfry.toml'), read('belfry.toml').replaceAll('FOLDER', this.folder));
    this.expected = JSON.parse(read('expected.json'));
    this.by = this.now() - this.expected.written;
    const database = join(this.folder, 'data', 'belfry.db');
    this.schema = sqlite(database, 'PRAGMA user_version')[0][0];
    const moves = read('move.sql') + (this.by < 0 ? revokedEarlier : '');
    sqlite(database, moves.replaceAll(':by', String(this.by)) + 'SELECT 1');
    const environment = this.ahead === 0 ? {} : clockAhead(this.ahead);
    this.server = await Server.start({ folder: this.folder, config: {}, environment });
  }

  /** By the server's clock. */
  now() {
    return Date.now() + this.ahead;
  }

  async close() {
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  // Who asks: the backend, one of its keys, or a user with a token that was issued now, or before those of
  // its user were revoked.
  bearer({ key, user, issued = 'now', id } = {}) {
    if (key) return this.expected.keys[key];
    if (!user) return this.server.key;
    const now = this.now();
    const then = Math.min(this.expected.written, now) - 3_600_000;
    const claims = {
      sub: user,
      iat: Math.floor((issued === 'now' ? now : then) / 1000),
      exp: Math.floor(now / 1000) + 3600,
      ...(id ? { jti: id } : {}),
      belfry: { subscribe: ['#'], publish: [] },
    };
    return sign({ alg: 'HS256', typ: 'JWT' }, claims, this.server.secret);
  }

  // A ticket that was used a minute before then: only its row lets it in again.
  ticket(text) {
    const body = JSON.parse(Buffer.from(text.split('.')[0], 'base64url'));
    for (const name of this.expected.ticketTimes) body[name] += this.by - 60_000;
    const made = base64url(JSON.stringify(body));
    const secret = readFileSync(join(this.server.data, 'ticket_secret'), 'utf8').trim();
    return `${made}.${createHmac('sha256', secret).update(made).digest('base64url')}`;
  }

  /** What one step comes to. */
  async play(step) {
    if (step.stream) return this.stream(step);
    if (step.doctor) return this.doctor();
    const path = step.ticket ? `${step.path}?ticket=${this.ticket(step.ticket)}` : step.path;
    const headers = { Accept: 'application/json', ...step.headers };
    if (!step.ticket) headers.Authorization = `Bearer ${this.bearer(step.as)}`;
    if (step.body !== undefined) headers['Content-Type'] = 'application/json';
    const body = step.body === undefined ? undefined : JSON.stringify(step.body);
    const ask = async () => {
      const answer = await fetch(this.server.url + path, { method: step.method ?? 'GET', headers, body });
      const text = await answer.text();
      return { status: answer.status, body: text && JSON.parse(text) };
    };
    if (!step.until) return ask();
    return until(async () => {
      const answer = await ask();
      return answer.body.events?.length >= step.until && answer;
    }, step.what);
  }

  // The events and resets that a client gets who comes back with a cursor of that time.
  async stream({ stream, transport, as, count }) {
    const token = this.bearer(as);
    const got = transport === 'websocket' ? await overWebSocket(this.server, token, stream, count) : [];
    if (transport === 'sse') {
      const client = await new SseClient(this.server, stream.topics, { since: stream.since, token }).open();
      try {
        await until(() => client.events.length + client.resets.length >= count, 'what follows the cursor');
      } finally {
        client.close();
      }
      got.push(...client.resets, ...client.events);
    }
    return got;
  }

  // Once nothing is due any more: what was due when it was opened is published within seconds, or is not,
  // because its key was revoked. What is left is due in half a year.
  async doctor() {
    const key = join(this.folder, 'backend_key');
    const words = ['--url', this.server.url, '--key-file', key, '--data-dir', this.server.data];
    const database = join(this.server.data, 'belfry.db');
    const due = `SELECT count(*) FROM scheduled WHERE deliver_at <= ${this.now()}`;
    await until(() => sqlite(database, due)[0][0] === 0, 'nothing is due any more');
    const said = run('doctor', ...words);
    return { checks: said.match(/^(ok|FAIL)/gm), rows: rowsOf(said) };
  }
}

async function overWebSocket(server, token, { topics, since }, count) {
  const got = [];
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/events`);
  socket.on('open', () => socket.send(JSON.stringify({ action: 'connect', token, since, topics })));
  socket.on('message', (text) => {
    const message = JSON.parse(text);
    if (!message.control || message.control === 'reset') got.push(message);
  });
  try {
    await until(() => got.length >= count, 'what follows the cursor');
  } finally {
    socket.close();
  }
  return got;
}

const base64url = (text) => Buffer.from(text).toString('base64url');

function sign(head, claims, secret) {
  const text = `${base64url(JSON.stringify(head))}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
