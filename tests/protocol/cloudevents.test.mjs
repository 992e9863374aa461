import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { CloudEvent, HTTP } from 'cloudevents';

import { Server, unique, until } from './server.mjs';

// Made and read by the SDK of the CloudEvents project.
describe('CloudEvents', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  const send = async ({ headers, body }) => {
    const answer = await fetch(`${server.url}/v1/events`, {
      method: 'POST',
      headers: { ...headers, ...server.bearer(server.key) },
      body,
    });
    return { status: answer.status, body: await answer.json() };
  };
  const make = (rest) => new CloudEvent({ source: '/shop', type: 'order.paid', subject: 't/1', ...rest });
  const read = async (topic, headers, rest = {}) => {
    const answer = await server.get(topic, { since: 'earliest', ...rest }, headers);
    return { answer, text: await answer.text() };
  };

  for (const [name, mode] of [
    ['structured', HTTP.structured],
    ['binary', HTTP.binary],
  ])
    it(`come in in ${name} mode, once for their source and id`, async () => {
      const topic = `t/${unique()}`;
      const event = make({ subject: topic, data: { n: 1, text: 'é' }, partitionkey: 'x' });
      const first = await send(mode(event));
      assert.equal(first.status, 201, JSON.stringify(first.body));
      const again = await send(mode(event));
      assert.equal(again.status, 200);
      assert.deepEqual(again.body.events, first.body.events);
      const other = await send(mode(event.cloneWith({ data: { n: 2 } })));
      assert.deepEqual([other.status, other.body.code], [422, 'idempotency_mismatch']);
      const page = JSON.parse((await read(topic)).text);
      assert.deepEqual(
        page.events.map((each) => [each.type, each.data]),
        [['order.paid', { n: 1, text: 'é' }]],
      );
    });

  it('come in in a batch, of which only what is new is stored', async () => {
    const topic = `t/${unique()}`;
    const [one, two] = [make({ subject: topic, data: 1 }), make({ subject: topic, data: 2 })];
    const batch = (events) => ({
      headers: { 'Content-Type': 'application/cloudevents-batch+json' },
      body: JSON.stringify(events),
    });
    const first = await send(batch([one]));
    const both = await send(batch([one, two]));
    assert.equal(both.status, 201, JSON.stringify(both.body));
    assert.deepEqual(both.body.events[0], first.body.events[0]);
    assert.equal(both.body.events[1].seq, 2);
    const bad = await send(batch([make({ subject: topic }), { specversion: '1.0' }]));
    assert.deepEqual([bad.status, bad.body.field], [400, 'events[1].id']);
    assert.equal(JSON.parse((await read(topic)).text).events.length, 2);
  });

  it('go out as a batch of a poll, and on streams', async () => {
    const topic = `t/${unique()}`;
    const [placed] = await server.publish({
      topic,
      type: 'a.b',
      data: { x: 1 },
      notification: { title: 'T' },
    });
    const { answer, text } = await read(topic, { Accept: 'application/cloudevents+json' });
    assert.equal(answer.headers.get('content-type'), 'application/cloudevents-batch+json');
    assert.equal(answer.headers.get('belfry-cursor'), placed.id);
    const [event] = HTTP.toEvent({
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: text,
    });
    assert.deepEqual(
      [event.id, event.source, event.type, event.subject, event.data],
      [placed.id, 'belfry', 'a.b', topic, { x: 1 }],
    );
    assert.ok(event.validate());
    assert.deepEqual(JSON.parse(event.notification), { title: 'T' });
    for (const accept of ['text/event-stream', 'application/x-ndjson']) {
      const stop = new AbortController();
      const stream = await fetch(server.address(topic, { since: 'earliest', format: 'cloudevents' }), {
        headers: { ...server.bearer(), Accept: accept },
        signal: stop.signal,
      });
      let got = '';
      const reading = (async () => {
        for await (const piece of stream.body.pipeThrough(new TextDecoderStream())) got += piece;
      })().catch(() => {});
      await until(() => got.includes('specversion'), accept);
      stop.abort();
      await reading;
      const line = got.split('\n').find((each) => each.includes('specversion'));
      assert.equal(JSON.parse(line.replace(/^data: /, '')).subject, topic);
    }
  });
});
