// A real PostgreSQL for a test: its own data folder, a port of the kernel's choice, loopback only, gone with
// the test. It refuses to run as root; then it runs as the user that Debian made for it.

import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
  appendFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './proxies.mjs';
import { until } from './server.mjs';

const run = promisify(execFile);
const root = process.getuid() === 0;

function binaries() {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  if (versions.length === 0) throw new Error('There is no PostgreSQL: ./dev setup installs it.');
  return join(base, versions[0], 'bin');
}

export class Postgres {
  static async start({ settings = {} } = {}) {
    const server = new Postgres();
    server.bin = binaries();
    server.folder = mkdtempSync(join(tmpdir(), 'belfry-pg-'));
    if (root) execFileSync('chown', ['postgres', server.folder]);
    chmodSync(server.folder, 0o755);
    server.data = join(server.folder, 'data');
    await server.as([
      join(server.bin, 'initdb'),
      '-D',
      server.data,
      '-U',
      'app',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '-N',
    ]);
    const all = {
      listen_addresses: "'127.0.0.1'",
      unix_socket_directories: "''",
      wal_level: 'logical',
      max_connections: 200,
      max_wal_size: "'2GB'",
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`);
    appendFileSync(join(server.data, 'postgresql.conf'), lines.join(''));
    await server.launch();
    return server;
  }

  /** Runs a program as the user that may run a server. */
  as(command, options = {}) {
    const all = root
      ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...command]
      : command;
    return run(all[0], all.slice(1), { cwd: this.folder, maxBuffer: 64 << 20, ...options });
  }

  // The port may be taken between choosing it and listening: then another one.
  async launch() {
    for (let attempt = 0; ; attempt += 1) {
      this.port ??= await freePort();
      try {
        await this.control('start', '-w', '-o', `-p ${this.port}`, '-l', join(this.folder, 'log'));
        return;
      } catch (error) {
        if (attempt === 5) throw error;
        this.port = undefined;
      }
    }
  }

  control(...words) {
    return this.as([join(this.bin, 'pg_ctl'), '-D', this.data, ...words], { stdio: 'ignore' });
  }

  get url() {
    return `postgres://app@127.0.0.1:${this.port}/postgres`;
  }

  /** Rows as lists of texts. */
  async sql(text) {
    const { stdout } = await run(
      join(this.bin, 'psql'),
      ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-F', '\t', '-c', text, this.url],
      { maxBuffer: 64 << 20 },
    );
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  }

  /** pgbench with a script of its own; what it printed. */
  async bench(script, ...words) {
    const file = join(this.folder, `script-${Math.random().toString(36).slice(2)}.sql`);
    writeFileSync(file, script);
    const { stdout } = await run(
      join(this.bin, 'pgbench'),
      ['-n', '-h', '127.0.0.1', '-p', String(this.port), '-U', 'app', '-f', file, ...words, 'postgres'],
      { maxBuffer: 64 << 20 },
    );
    return stdout;
  }

  /** Stops, and comes back on a timeline of its own, as a standby does that takes over. */
  async promote() {
    await this.control('stop', '-m', 'fast');
    appendFileSync(join(this.data, 'postgresql.conf'), "restore_command = 'false'\n");
    await this.as(['touch', join(this.data, 'recovery.signal')]);
    await this.launch();
    await until(
      async () => (await this.sql('SELECT pg_is_in_recovery()'))[0][0] === 'f',
      'it has taken over',
    );
  }

  async crash() {
    await this.control('stop', '-m', 'immediate');
  }

  async stop() {
    await this.control('stop', '-m', 'immediate').catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }
}
