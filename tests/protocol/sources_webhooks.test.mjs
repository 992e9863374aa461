// Events that others send over HTTP: CloudEvents, Event Grid, signed webhooks; and what is said of sources
// on the command line.

import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudEvent, HTTP } from 'cloudevents';
import { after, before, describe, it } from 'node:test';
import { unique } from './server.mjs';
import { belfry, held, sourceStatus, withSources } from './sources.mjs';
import { count } from './threats.mjs';

const folder = mkdtempSync(join(tmpdir(), 'belfry-webhooks-'));
const secret = randomBytes(24).toString('hex');
const older = randomBytes(24).toString('hex');
writeFileSync(join(folder, 'new'), `${secret}\n`);
writeFileSync(join(folder, 'old'), older);
const standardSecret = randomBytes(24);
writeFileSync(join(folder, 'standard'), `whsec_${standardSecret.toString('base64')}`);
const files = `secret_files = ["${folder}/new", "${folder}/old"]\n`;

let server;
before(async () => {
  server = await withSources({
    cloud: `kind = "cloudevents"\n${files}origins = ["eventgrid.azure.net"]\n`,
    mapped: `kind = "cloudevents"
      ${files}[[source.mapped.map]]
      when = "event.type == 'order.paid'"
      topic = "orders/{event.data.id}"
      type = "paid"`,
    grid: `kind = "event-grid"
      ${files}[[source.grid.map]]
      when = "type == 'Microsoft.Storage.BlobCreated'"
      topic = "files"
      type = "file.created"
      data = { url = "{data.url}" }`,
    plain: `kind = "event-grid"\n${files}`,
    github: `kind = "webhook"
      scheme = "github"
      ${files}[[source.github.map]]
      topic = "repos/{body.repository.full_name|path}"
      type = "github.{headers.x-github-event}"
      data = "{body.ref}"`,
    stripe: `kind = "webhook"
      scheme = "stripe"
      ${files}[[source.stripe.map]]
      topic = "payments/{body.data.object.id}"
      type = "{body.type}"`,
    slack: `kind = "webhook"\nscheme = "slack"\n${files}[[source.slack.map]]\ntopic = "slack"\n`,
    standard: `kind = "webhook"\nsecret_files = ["${folder}/standard"]\n`,
  });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const send = async (name, body, headers = {}, { method = 'POST', key } = {}) => {
  const answer = await fetch(`${server.url}/v1/sources/${name}${key ? `?key=${key}` : ''}`, {
    method,
    headers,
    body: method === 'POST' ? (typeof body === 'string' ? body : JSON.stringify(body)) : undefined,
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
};
const topics = async (pattern) => (await held(server, pattern)).map((event) => event.topic);

describe('CloudEvents', () => {
  const event = (more = {}) =>
    new CloudEvent({
      source: 'shop',
      type: 'order.made',
      subject: `made/${unique()}`,
      data: { a: 1 },
      ...more,
    });
  const post = (message, name = 'cloud', key = secret) =>
    send(name, message.body, message.headers, { key });

  it('by a library that is not ours: binary, structured, a batch; the same one once', async () => {
    for (const form of [HTTP.binary, HTTP.structured]) {
      const one = event();
      assert.equal((await post(form(one))).status, 200);
      assert.equal((await post(form(one))).status, 200);
      assert.deepEqual(await topics(one.subject), [one.subject]);
      assert.deepEqual((await held(server, one.subject))[0].data, { a: 1 });
    }
    const batch = [event(), event()];
    const body = JSON.stringify([...batch, batch[0]]);
    const answer = await post({ headers: { 'content-type': 'application/cloudevents-batch+json' }, body });
    assert.deepEqual(answer.body, { events: 2, dead_letters: 0 });
    for (const one of batch) assert.deepEqual(await topics(one.subject), [one.subject]);
  });

  it('with rules', async () => {
    await post(HTTP.structured(event({ type: 'order.paid', data: { id: 7 } })), 'mapped');
    await post(HTTP.structured(event({ type: 'order.seen', data: { id: 8 } })), 'mapped');
    assert.deepEqual(await topics('orders/+'), ['orders/7']);
  });

  it('need the key, the newer or the older', async () => {
    assert.equal((await post(HTTP.structured(event()), 'cloud', older)).status, 200);
    for (const key of [null, 'wrong', `${secret}x`]) {
      const answer = await post(HTTP.structured(event()), 'cloud', key);
      assert.equal(answer.status, 403);
      assert.equal(answer.body.code, 'signature_invalid');
    }
    const bearer = HTTP.structured(event());
    bearer.headers.authorization = `Bearer ${secret}`;
    assert.equal((await post(bearer, 'cloud', null)).status, 200);
  });

  it('are asked for permission', async () => {
    const ask = (origin, key = secret) =>
      send(
        'cloud',
        '',
        { 'WebHook-Request-Origin': origin, 'WebHook-Request-Rate': '120' },
        { method: 'OPTIONS', key },
      );
    const good = await ask('eventgrid.azure.net');
    assert.equal(good.status, 200);
    assert.equal(good.headers.get('webhook-allowed-origin'), 'eventgrid.azure.net');
    assert.equal(good.headers.get('webhook-allowed-rate'), '120');
    const bad = await ask('evil.example');
    assert.equal(bad.status, 403);
    assert.equal(bad.headers.get('webhook-allowed-origin'), null);
    assert.equal((await ask('eventgrid.azure.net', 'wrong')).status, 403);
  });

  it('refuses what is none, and buries what has no topic', async () => {
    const json = { 'content-type': 'application/cloudevents+json' };
    assert.equal((await post({ headers: json, body: '{"id":' })).body.code, 'bad_json');
    assert.equal((await post({ headers: json, body: '{"id":"1"}' })).body.code, 'missing_field');
    assert.equal((await post({ headers: json, body: '[]' })).status, 400);
    const lost = await post(HTTP.structured(event({ subject: undefined })));
    assert.deepEqual(lost.body, { events: 0, dead_letters: 1 });
    assert.equal((await sourceStatus(server, 'cloud')).dead_letters, 1);
  });
});

describe('Event Grid', () => {
  const blob = (id, more = {}) => ({
    id,
    topic: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a',
    subject: '/blobServices/default/containers/c/blobs/dir/file.txt',
    eventType: 'Microsoft.Storage.BlobCreated',
    eventTime: '2026-11-21T12:00:00Z',
    data: { api: 'FlushWithClose', url: `https://a.blob.core.windows.net/c/${id}` },
    dataVersion: '',
    metadataVersion: '1',
    ...more,
  });
  const post = (name, body, type = 'Notification', headers = {}) =>
    send(
      name,
      body,
      { 'content-type': 'application/json', 'aeg-event-type': type, ...headers },
      { key: secret },
    );

  it('is answered its validation code', async () => {
    const code = unique();
    const body = [
      {
        id: '1',
        eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
        data: { validationCode: code },
      },
    ];
    const answer = await post('grid', body, 'SubscriptionValidation');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, { validationResponse: code });
    assert.equal((await send('grid', body, { 'aeg-event-type': 'SubscriptionValidation' })).status, 403);
    assert.equal((await post('grid', [], 'SubscriptionValidation')).status, 400);
  });

  it('tells of blobs in both schemas, each once', async () => {
    const first = blob(unique());
    await post('grid', [first, blob(unique(), { eventType: 'Microsoft.Storage.BlobDeleted' })]);
    await post('grid', [first]);
    const cloud = {
      specversion: '1.0',
      id: unique(),
      source: first.topic,
      subject: first.subject,
      type: first.eventType,
      data: { url: 'u' },
    };
    await post('grid', [cloud], 'Notification', { 'content-type': 'application/cloudevents-batch+json' });
    const events = await held(server, 'files');
    assert.deepEqual(
      events.map((event) => event.data.url),
      [first.data.url, 'u'],
    );
    await post('plain', [blob('p1')]);
    const [plain] = await held(server, 'event-grid/plain');
    assert.equal(plain.type, 'Microsoft.Storage.BlobCreated');
    assert.equal(plain.data.subject, first.subject);
  });
});

describe('signed webhooks', () => {
  const hmac = (text, key = secret, form = 'hex') => createHmac('sha256', key).update(text).digest(form);
  const now = () => Math.floor(Date.now() / 1000);
  const stripe = (body, at = now(), key = secret) => ({
    'stripe-signature': `t=${at},v1=${hmac(`${at}.${body}`, key)}`,
  });

  it('of GitHub: the delivery once, whatever it calls itself', async () => {
    const body = JSON.stringify({ ref: 'refs/heads/main', repository: { full_name: 'team/site' } });
    const headers = { 'x-hub-signature-256': `sha256=${hmac(body)}`, 'x-github-event': 'push' };
    for (const delivery of ['a', 'b'])
      assert.equal((await send('github', body, { ...headers, 'x-github-delivery': delivery })).status, 200);
    const events = await held(server, 'repos/#');
    assert.deepEqual(
      events.map((event) => [event.topic, event.type, event.data]),
      [['repos/team/site', 'github.push', 'refs/heads/main']],
    );
    assert.equal((await send('github', `${body} `, headers)).status, 403);
    assert.equal((await send('github', body)).body.code, 'signature_invalid');
  });

  it('of Stripe: in time only, and once for each of its ids', async () => {
    const body = JSON.stringify({
      id: 'evt_1',
      type: 'payment.succeeded',
      data: { object: { id: 'pi_1' } },
    });
    assert.equal((await send('stripe', body, stripe(body))).status, 200);
    assert.equal(
      (await send('stripe', body, stripe(body, now() - 10))).status,
      200,
      'sent again, signed anew',
    );
    assert.equal((await send('stripe', body, stripe(body, now() - 301))).status, 403);
    assert.equal((await send('stripe', body, stripe(body, now() + 301))).status, 403);
    assert.equal(
      (await send('stripe', body, stripe(body, now(), 'another secret of some length'))).status,
      403,
    );
    assert.deepEqual(await topics('payments/+'), ['payments/pi_1']);
  });

  it('of Slack, and of Standard Webhooks', async () => {
    const body = JSON.stringify({ event_id: unique() });
    const at = now();
    const headers = {
      'x-slack-request-timestamp': String(at),
      'x-slack-signature': `v0=${hmac(`v0:${at}:${body}`)}`,
    };
    assert.equal((await send('slack', body, headers)).status, 200);
    assert.equal((await held(server, 'slack')).length, 1);
    const id = unique();
    const event = JSON.stringify({ topic: `standard/${id}`, data: 1 });
    const signed = {
      'webhook-id': id,
      'webhook-timestamp': String(at),
      'webhook-signature': `v1,AAAA v1,${hmac(`${id}.${at}.${event}`, standardSecret, 'base64')}`,
    };
    assert.equal((await send('standard', event, signed)).status, 200);
    assert.deepEqual(await topics('standard/#'), [`standard/${id}`]);
    assert.equal(
      (await send('standard', event, { ...signed, 'webhook-id': 'another' })).status,
      403,
      'the id is signed',
    );
  });

  it(`threat 38: ${count(500, 10_000)} replays are one event`, async () => {
    const body = JSON.stringify({ id: 'evt_replay', type: 'paid', data: { object: { id: 'replayed' } } });
    const headers = stripe(body);
    for (let sent = 0; sent < count(500, 10_000); sent += 50)
      await Promise.all(Array.from({ length: 50 }, () => send('stripe', body, headers)));
    assert.deepEqual(await topics('payments/replayed'), ['payments/replayed']);
  });

  it('are counted where they are refused, and unknown sources are not found', async () => {
    assert.ok((await sourceStatus(server, 'stripe')).failures >= 3);
    assert.equal((await send('nobody', '{}')).status, 404);
  });
});

describe('the command line', () => {
  const config = join(folder, 'belfry.toml');
  const write = (text) => writeFileSync(config, text);
  const sample = (value) => {
    const file = join(folder, 'sample.json');
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  };

  it('shows what a sample would become', async () => {
    write(`[source.orders]\nkind = "kafka"\nbrokers = "b:9092"\ntopics = ["orders"]\nformat = "debezium"\n
[[source.orders.map]]
  when = "op == 'update' and after.state == 'paid'"
  topic = "orders/{id}"
  type = "order.paid"
  notification = { title = "Order {id} is paid" }`);
    const changed = (state) => ({
      key: { id: 7 },
      value: { op: 'u', after: { id: 7, state }, source: { table: 'orders' } },
    });
    const test = await belfry([
      'source',
      'test',
      'orders',
      '-c',
      config,
      '--sample',
      sample(changed('paid')),
    ]);
    assert.equal(test.code, 0, test.stderr);
    assert.deepEqual(JSON.parse(test.stdout), {
      topic: 'orders/7',
      type: 'order.paid',
      notification: { title: 'Order 7 is paid' },
    });
    const lines = sample(`${JSON.stringify(changed('new'))}\n${JSON.stringify(changed('paid'))}\n`);
    const both = await belfry(['source', 'test', 'orders', '-c', config, '--sample', lines]);
    assert.match(both.stderr, /record 1: passed over/);
    const near = await belfry(['source', 'test', 'order', '-c', config, '--sample', lines]);
    assert.match(near.stderr, /Did you mean orders\?/);
  });

  it('names line and column of what is wrong', async () => {
    const mqtt = '[source.a]\nkind = "mqtt"\nurl = "mqtt://x"\n';
    const good = `${mqtt}subscriptions = ["x"]\n`;
    const wrong = [
      ['[source.a]\nkind = "kafk"\n', /belfry\.toml:2:8: There is no kind "kafk"/],
      ['[source.a]\nkind = "kafka"\ntopics = ["x"]\n', /:1:\d+: The setting brokers is missing/],
      [`${mqtt}subscription = ["x"]\n`, /:4:1: .*Did you mean "subscriptions"\?/],
      [
        `${good}[[source.a.map]]\nwhen = "a = 1"\ntopic = "x"\n`,
        /:6:8: To compare, write ==\. \(at character 3\)/,
      ],
      [`${good}[[source.a.map]]\ntopic = "x/{payload"\n`, /:6:9: A brace/],
      ['[source.a]\nkind = "postgres-outbox"\n', /Either url or url_file/],
      [`${good}version = "4"\n`, /:5:11: version must be one of 5, 3\.1\.1/],
    ];
    for (const [text, expected] of wrong) {
      write(text);
      const check = await belfry(['config', 'check', '-c', config]);
      assert.equal(check.code, 3, text);
      assert.match(check.stdout + check.stderr, expected);
    }
  });

  it('shows the configuration without its passwords', async () => {
    write(`[source.a]\nkind = "postgres-outbox"\nurl = "postgres://app:s3cret@host/db"\n`);
    const shown = await belfry(['config', 'show', '-c', config]);
    assert.match(shown.stdout, /\[source\.a\]\nkind = "postgres-outbox"/);
    assert.match(shown.stdout, /url = "postgres:\/\/\*\*\*@host\/db"/);
    assert.doesNotMatch(shown.stdout, /s3cret/);
  });

  it('prints the SQL that it would install', async () => {
    const shown = await belfry(['source', 'install', 'postgres', '--print', '--schema', 'bell']);
    assert.match(shown.stdout, /CREATE OR REPLACE FUNCTION bell\.publish\(/);
    const bad = await belfry([
      'source',
      'install',
      'postgres',
      '--url',
      'postgres://x',
      '--schema',
      'a; DROP',
    ]);
    assert.notEqual(bad.code, 0);
    assert.match(bad.stderr, /small letters/);
  });
});
