// A real MQTT broker for a test: Debian's Mosquitto on loopback, its session store in a folder of its own.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './proxies.mjs';
import { until } from './server.mjs';

const run = promisify(execFile);

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });

export class Mosquitto {
  static async start({ settings = '' } = {}) {
    const broker = new Mosquitto();
    broker.folder = mkdtempSync(join(tmpdir(), 'belfry-mqtt-'));
    chmodSync(broker.folder, 0o777); // as root it changes to a user of its own
    broker.port = await freePort();
    const lines = [
      `listener ${broker.port} 127.0.0.1`,
      'allow_anonymous true',
      'persistence true',
      `persistence_location ${broker.folder}/`,
      'autosave_interval 1',
      'autosave_on_changes true',
      'max_queued_messages 0', // beyond it messages are dropped in silence
      settings,
    ];
    writeFileSync(join(broker.folder, 'mosquitto.conf'), `${lines.join('\n')}\n`);
    await broker.launch();
    return broker;
  }

  async launch() {
    this.child = spawn('mosquitto', ['-c', join(this.folder, 'mosquitto.conf')], {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    await until(() => answers(this.port), 'the broker answers');
  }

  get url() {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** By Mosquitto's own client. */
  publish(topic, payload, ...words) {
    const where = ['-h', '127.0.0.1', '-p', String(this.port), '-q', '1'];
    return run('mosquitto_pub', [...where, '-t', topic, '-m', payload, ...words]);
  }

  /** One message a line, over one connection. */
  async publishLines(topic, lines, ...words) {
    const where = ['-h', '127.0.0.1', '-p', String(this.port), '-q', '1'];
    const child = spawn('mosquitto_pub', [...where, '-t', topic, '-l', ...words], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const gone = once(child, 'exit');
    child.stdin.end(`${lines.join('\n')}\n`);
    await gone;
  }

  async kill(signal = 'SIGKILL') {
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
  }

  /** Starts again without the sessions that it kept. */
  async forget() {
    await this.kill();
    rmSync(join(this.folder, 'mosquitto.db'), { force: true });
    await this.launch();
  }

  async stop() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
