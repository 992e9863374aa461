// Kafka for a test: librdkafka's mock cluster, or a producer beside a real broker. Both are a program
// of ours around that library (tests/testing/kafka_tool.cc).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { binary } from './server.mjs';

export class Kafka {
  static async mock(topic, partitions = 1) {
    const kafka = new Kafka(['mock', topic, String(partitions)]);
    kafka.brokers = await kafka.line();
    return kafka;
  }

  static beside(brokers) {
    const kafka = new Kafka(['produce', brokers]);
    kafka.brokers = brokers;
    return kafka;
  }

  constructor(words) {
    const program = join(dirname(binary), 'tests', 'testing', 'kafka_tool');
    this.child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async line() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('kafka_tool ended');
    return value;
  }

  /** Gives control back when the cluster has acknowledged it. */
  async produce(record) {
    this.child.stdin.write(`${JSON.stringify(record)}\n`);
    await this.line();
  }

  async stop() {
    if (this.child.exitCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.stdin.end();
    this.child.kill('SIGKILL');
    await gone;
  }
}
