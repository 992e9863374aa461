// What the tests of sources share: a server with sources, and what it holds.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { binary, Server, until } from './server.mjs';

const run = promisify(execFile);

/** A server in production's mode with these tables [source.NAME]. */
export function withSources(sources, more = {}) {
  const config = Object.fromEntries(
    Object.entries(sources).map(([name, text]) => [`source.${name}`, text]),
  );
  return Server.start({ config, ...more });
}

export async function sourceStatus(server, name) {
  const { body } = await server.call('GET', '/v1/sources');
  return body.sources.find((one) => one.name === name);
}

export const running = (server, name) =>
  until(async () => (await sourceStatus(server, name)).state === 'running', `${name} is read`, 30_000);

/** All events of the topics, from the beginning. */
export async function held(server, topics = '#') {
  const events = [];
  let address = server.address(topics, { since: 'earliest' });
  for (;;) {
    const answer = await fetch(address, { headers: { ...server.bearer(), Accept: 'application/json' } });
    if (answer.status === 304) return events;
    if (answer.status === 503) {
      // The machine is busy, as it may be here: told when to come back, a client does.
      await setTimeout(1000 * Number(answer.headers.get('retry-after')));
      continue;
    }
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}\n${server.log}`);
    const page = await answer.json();
    if (page.events.length === 0) return events;
    events.push(...page.events);
    address = new URL(page.next, server.url).href;
  }
}

export const holds = (server, count, topics = '#') =>
  until(
    async () => {
      await setTimeout(50); // each look reads everything
      const events = await held(server, topics);
      return events.length >= count ? events : undefined;
    },
    `${count} events`,
    60_000,
  );

/** That the events' data are 1 to `count`, each once; in order too, if that is asked for. */
export function onceEach(events, count, { ordered = false } = {}) {
  const numbers = events.map((event) => event.data);
  if (!ordered) numbers.sort((a, b) => a - b);
  assert.equal(numbers.length, count, 'none twice');
  const wrong = numbers.findIndex((n, at) => n !== at + 1);
  assert.equal(wrong, -1, `none missing, and in order: ${numbers[wrong]} at ${wrong}`);
}

/** The binary's command line. */
export async function belfry(words, options = {}) {
  try {
    const { stdout, stderr } = await run(binary, words, options);
    return { code: 0, stdout, stderr };
  } catch (error) {
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

/** The outbox's schema, empty. */
export async function installOutbox(database) {
  await database.sql('DROP SCHEMA IF EXISTS belfry CASCADE');
  const done = await belfry(['source', 'install', 'postgres', '--url', database.url]);
  assert.equal(done.code, 0, done.stderr);
}
