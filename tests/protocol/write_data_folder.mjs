// Writes tests/data/schema-N with the binary of today, by hand, when a schema is new (CONTRIBUTING.md):
//
//   BELFRY=build/release/belfry node write_data_folder.mjs
//
// A story that leaves a row in every table is played against the real binary. What a client ought to see of
// it is then asked of a copy: expected.json, without what data_folder_answers.mjs lists. A second copy has
// to answer so too.

import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { OpenedFolder, clockAhead, rowsOf, run, schemaNow, shelf, sqlite } from './data_folder.mjs';
import { holds, kept, whole } from './data_folder_answers.mjs';
import { Postgres } from './postgres.mjs';
import { Server, until } from './server.mjs';
import { running } from './sources.mjs';

const day = 24 * 3600 * 1000;
const later = (ms) => new Date(Date.now() + ms).toISOString();
const note = (topic, title, rest = {}) => ({ topic, type: 'news', notification: { title }, ...rest });

const config = (url) => ({
  auth: '',
  log: 'retention_days = 0\nretention = ["short 2"]\n',
  'source.facts': `kind = "postgres-table"\nurl = "${url}"\ntable = "facts"\nbegin = "earliest"
[[source.facts.map]]
topic = "facts/{row.what}"
data = "{row.id}"
`,
});

// Rows that end by the clock, in schema 6. What was scheduled for a minute later is due when it is opened.
const move = `UPDATE idempotency SET time = time + :by;
UPDATE scheduled SET deliver_at = deliver_at + :by - 60000;
UPDATE tickets SET until = until + :by;
UPDATE revocations SET forget = forget + :by;
UPDATE events SET expires = expires + :by WHERE expires IS NOT NULL;
UPDATE expiry SET expires = expires + :by;
UPDATE topics SET empty_since = empty_since + :by WHERE empty_since IS NOT NULL;
UPDATE follows SET empty_since = empty_since + :by WHERE empty_since IS NOT NULL;
`;

/** Topics with events: repeats, keys, expiry, what was taken back, and what retention took. */
async function events(server) {
  const made = {};
  const numbers = [...Array(20).keys()].map((n) => ({
    topic: 'orders/7',
    type: 'order.made',
    data: { n },
  }));
  made.orders = await server.publish(numbers);
  made.again = { topic: 'orders/8', type: 'order.paid', data: { total: 12.5, text: 'Größe ✓' } };
  [made.repeat] = await server.publish(made.again, { 'Idempotency-Key': 'order-8' });
  await server.publish({ topic: 'state/x', type: 'state', key: 'k', data: 'old' });
  await server.publish({ topic: 'state/x', type: 'state', key: 'k', data: 'new' });
  await server.publish({ topic: 'state/x', type: 'state', data: 'short-lived', expires: later(day) });
  await server.publish({ topic: 'state/x', type: 'refresh', keys: [['orders', 7]], version: '9' });
  const [gone] = await server.publish({ topic: 'gone', data: 'taken back' });
  assert.equal((await server.call('DELETE', `/v1/events/${gone.id}`)).status, 200);
  [made.first] = await server.publish({ topic: 'short', data: 0 });
  for (let n = 1; n < 5; n += 1) await server.publish({ topic: 'short', data: n });
  const left = async () => (await (await server.get('short', { since: 'earliest' })).json()).events?.length;
  await until(async () => (await left()) === 2, 'retention takes all but two', 180_000);
  return made;
}

/** Feeds: three users who follow a group, one of them with marks, gaps, mutes and an unfollow. */
async function feeds(server) {
  const token = server.token(null, { user: 'ana' });
  const mark = async (body) =>
    assert.equal((await server.call('POST', '/v1/feed/marks', body, token)).status, 200);
  for (const user of ['ana', 'bob', 'eve']) await server.call('PUT', `/v1/users/${user}/follows/teams/red`);
  await server.call('PUT', '/v1/users/ana/follows/teams/blue');
  const own = await server.publish([...Array(12).keys()].map((n) => note('users/ana', `Own ${n}`)));
  await server.publish(note('teams/red', 'To all', { type: 'broadcast' }));
  await server.publish(note('teams/blue', 'Blue'));
  await server.call('DELETE', '/v1/users/ana/follows/teams/blue');
  await server.publish(note('teams/blue', 'After the unfollow'));
  await server.publish(note('users/ana', 'Muted', { type: 'sale' }));
  await server.call('PUT', '/v1/feed/mutes', { topics: ['teams/green'], types: ['sale'] }, token);
  await mark({ mark: 'read', upto: own[2].id });
  await mark({ mark: 'read', ids: [own[5].id] });
  await mark({ mark: 'unread', ids: [own[1].id] });
  await mark({ mark: 'archived', ids: [own[7].id] });
  await mark({ mark: 'seen', upto: own[9].id });
  await server.call('DELETE', `/v1/events/${own[4].id}`);
  const page = await server.call('GET', '/v1/feed?limit=6', undefined, token);
  assert.deepEqual(page.body.counts, { unread: 9, unseen: 4 });
  return { own, next: page.body.next };
}

/** Keys, tokens, tickets and what is scheduled. */
async function access(server) {
  const key = (name) => run('key', 'create', name, '--data', server.data).trim();
  const keys = { good: key('good'), gone: key('gone') };
  const known = async (one) => (await server.call('GET', '/v1/sources', undefined, one)).status === 200;
  await until(async () => (await known(keys.good)) && (await known(keys.gone)), 'the keys are known');
  const schedule = async (data, deliver_at, by) => {
    const body = { topic: 'later', data, deliver_at };
    const answer = await server.call('POST', '/v1/events', body, by);
    assert.equal(answer.status, 201);
    return answer.body.events[0].scheduled;
  };
  await schedule('of the good key', later(60_000), keys.good);
  await schedule('of the key that was revoked', later(60_000), keys.gone);
  const scheduled = await schedule('in 200 days', later(200 * day));
  const { ticket } = (await server.call('POST', '/v1/tickets', { topics: ['orders/#'] }, server.token()))
    .body;
  const opened = await fetch(`${server.url}/v1/events?ticket=${ticket}`, {
    headers: { Accept: 'application/json' },
  });
  assert.equal(opened.status, 200);
  await server.call('POST', '/v1/revocations', { user: 'mallory' });
  await server.call('POST', '/v1/revocations', { token_id: 'lost-phone' });
  run('key', 'revoke', keys.gone.split('_')[1], '--data', server.data);
  await until(async () => !(await known(keys.gone)), 'the key is revoked');
  return { keys, scheduled, ticket };
}

/** What is asked of the folder. */
function questions(made, people, doors) {
  const poll = (topic, since, as) => ({
    path: `/v1/events?topic=${encodeURIComponent(topic)}&since=${since}`,
    as: as ?? { user: 'ana' },
  });
  const feed = (query, user) => ({ path: `/v1/feed?${query}`, as: { user } });
  const post = (body, headers) => ({ method: 'POST', path: '/v1/events', body, headers });
  const follow = (transport, topics, since, count) => ({
    transport,
    stream: { topics, since },
    as: { user: 'ana' },
    count,
  });
  return [
    { what: 'the doctor', doctor: true },
    { what: 'a topic', ...poll('orders/7', 'earliest') },
    { what: 'a topic with a repeat', ...poll('orders/8', 'earliest') },
    { what: 'keys and expiry', ...poll('state/x', 'earliest') },
    { what: 'what was taken back', ...poll('gone', 'earliest') },
    { what: 'a cursor of then', ...poll('orders/7', made.orders[14].id) },
    { what: 'a cursor that retention overtook', ...poll('short', made.first.id) },
    { what: 'what retention left', ...poll('short', 'earliest') },
    { what: 'records of a source', ...poll('facts/#', 'earliest') },
    { what: 'a stream of SSE', ...follow('sse', ['orders/#'], made.orders[9].id, 11) },
    { what: 'a WebSocket', ...follow('websocket', ['orders/#', 'users/ana'], made.orders[18].id, 24) },
    { what: 'a stream that is told', ...follow('sse', ['short'], made.first.id, 3) },
    { what: 'the feed', ...feed('limit=6', 'ana') },
    { what: 'its next page', ...feed(`before=${people.next}`, 'ana') },
    { what: 'what is unread', ...feed('status=unread', 'ana') },
    { what: 'what is archived', ...feed('status=archived', 'ana') },
    { what: 'the feed of who follows', ...feed('', 'bob') },
    { what: 'the feed of a stranger', ...feed('', 'nobody') },
    { what: 'mutes', path: '/v1/feed/mutes', as: { user: 'ana' } },
    ...['ana', 'bob', 'nobody'].map((user) => ({
      what: `what ${user} follows`,
      path: `/v1/users/${user}/follows`,
    })),
    { what: 'the same key again', ...post(made.again, { 'Idempotency-Key': 'order-8' }) },
    { what: 'the same key with another body', ...post({ topic: 'x' }, { 'Idempotency-Key': 'order-8' }) },
    { what: 'where a source stood', path: '/v1/sources' },
    { what: 'a good key', path: '/v1/feed?user=x&limit=0', as: { key: 'good' } },
    { what: 'a revoked key', path: '/v1/feed?user=x&limit=0', as: { key: 'gone' } },
    { what: 'a revoked user', ...poll('orders/7', 'now', { user: 'mallory', issued: 'then' }) },
    { what: 'that user, with a new token', ...poll('orders/7', 'now', { user: 'mallory' }) },
    { what: 'a revoked token', ...poll('orders/7', 'now', { user: 'ana', id: 'lost-phone' }) },
    { what: 'a ticket that was used', path: '/v1/events', ticket: doors.ticket },
    { what: 'what was due', ...poll('later', 'earliest'), until: 1 },
    { what: 'a cancel', method: 'DELETE', path: `/v1/scheduled/${doors.scheduled}` },
    { what: 'a cancel of what is gone', method: 'DELETE', path: `/v1/scheduled/${doors.scheduled}` },
    { what: 'a new event', ...post({ topic: 'orders/7', data: 'new' }) },
    { what: 'its number', ...poll('orders/7', made.orders[19].id) },
    { what: 'a key again', ...post({ topic: 'state/x', key: 'k', data: 'newest' }) },
    { what: 'what it replaced', ...poll('state/x', made.orders[19].id) },
    { what: 'a mark', ...mark(people.own[8].id) },
    { what: 'the counts after it', ...feed('limit=0', 'ana') },
  ];
}

const mark = (id) => ({
  method: 'POST',
  path: '/v1/feed/marks',
  body: { mark: 'read', ids: [id] },
  as: { user: 'ana' },
});

async function answersOf(folder, steps) {
  const opened = await OpenedFolder.open(folder);
  const answers = [];
  try {
    for (const step of steps) answers.push(await opened.play(step));
  } finally {
    await opened.close();
  }
  return answers;
}

/** Plays the story in `folder`; gives what is asked of it. */
async function tell(folder) {
  const database = await Postgres.start();
  const servers = [];
  try {
    return await story(folder, database, async (options) => {
      servers.push(await Server.start(options));
      return servers.at(-1);
    });
  } finally {
    for (const server of servers) await server.kill();
    await database.stop();
  }
}

async function story(folder, database, start) {
  await database.sql(`CREATE TABLE facts(id bigserial PRIMARY KEY, what text);
    INSERT INTO facts(what) VALUES ('one'), ('two'), (NULL)`);
  const options = { folder, config: config(database.url) };
  const early = await start({ ...options, environment: clockAhead(3_600_000) });
  await early.publish({ topic: 'orders/0', data: 'an hour ahead' });
  await early.kill('SIGTERM');
  const server = await start(options);
  await running(server, 'facts');
  await until(
    async () => (await (await server.get('facts/#', { since: 'earliest' })).json()).events?.length,
    'facts',
  );
  const made = await events(server);
  const people = await feeds(server);
  const doors = await access(server);
  const key = join(folder, 'backend_key');
  const rows = rowsOf(run('doctor', '--url', server.url, '--key-file', key, '--data-dir', server.data));
  console.log(rows);
  await server.kill('SIGTERM');
  return { steps: questions(made, people, doors), keys: doors.keys, rows };
}

const at = join(shelf, `schema-${schemaNow()}`);
if (existsSync(at)) throw new Error(`${at} is there: a folder that has landed is never written again`);
const folder = mkdtempSync(join(tmpdir(), 'belfry-story-'));
const { steps, keys, rows } = await tell(folder);
const written = Date.now();
for (const [name, count] of Object.entries(rows)) assert.ok(count > 0, `the table ${name} is empty`);
sqlite(join(folder, 'data', 'belfry.db'), 'PRAGMA wal_checkpoint(TRUNCATE); VACUUM; SELECT 1');
mkdirSync(join(at, 'data'), { recursive: true });
for (const name of ['belfry.db', 'backend_keys', 'ticket_secret'])
  copyFileSync(join(folder, 'data', name), join(at, 'data', name));
for (const name of ['jwt_secret', 'backend_key']) copyFileSync(join(folder, name), join(at, name));
writeFileSync(join(at, 'move.sql'), move);
// The origin of its source is away for ever, and what the source holds is there all the same.
const text = readFileSync(join(folder, 'belfry.toml'), 'utf8').replaceAll(folder, 'FOLDER');
writeFileSync(
  join(at, 'belfry.toml'),
  text.replace(/url = ".*"/, 'url = "postgres://app@127.0.0.1:1/app"'),
);
const found = { schema: schemaNow(), written, ticketTimes: ['made', 'expires'], keys };
const save = () => writeFileSync(join(at, 'expected.json'), `${JSON.stringify(found, null, 1)}\n`);
save();
const [one, other] = [await answersOf(at, steps), await answersOf(at, steps)];
found.steps = steps.map((step, n) => ({ ...step, answer: kept({ ...step, answer: one[n] }) }));
save();
found.steps.forEach((step, n) => holds(other[n], whole(step, found.schema), step.what));
rmSync(folder, { recursive: true, force: true });
