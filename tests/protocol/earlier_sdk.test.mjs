// Builds of the client package that have landed before (tests/data/sdk-COMMIT) against the server of today:
// a page that was loaded yesterday stays open while the server is renewed.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import WebSocket from 'ws';

import { holds, id, time } from './data_folder_answers.mjs';
import { Server, unique, until } from './server.mjs';

const shelf = new URL('../data/', import.meta.url);
const kept = readdirSync(shelf).filter((name) => name.startsWith('sdk-'));

it('a build is kept', () => assert.ok(kept.length > 0, 'node keep_sdk.mjs COMMIT keeps one'));

for (const name of kept)
  for (const transport of ['sse', 'websocket'])
    describe(`${name} over ${transport}`, () => {
      let server, sdk;
      const clients = [];
      before(async () => {
        globalThis.WebSocket = WebSocket;
        sdk = await import(new URL(`${name}/client.js`, shelf));
        server = await Server.start();
      });
      after(async () => {
        for (const client of clients) client.dispose();
        await server.stop();
      });

      function make(user) {
        const client = sdk.createClient({
          url: server.url,
          getToken: () => server.token(['#'], { user }),
          transports: [transport],
          lingerMs: 0,
          reconnect: { minDelayMs: 10 },
          logger: () => {},
        });
        clients.push(client);
        return client;
      }

      it('receives, by topic and type', async () => {
        const topic = `t/${unique()}`;
        const client = make('ana');
        const got = [];
        await client.subscribe(`${topic}/+`, ['made'], (event) => got.push(event)).ready;
        assert.equal(client.state.transport, transport);
        assert.equal(client.user, 'ana');
        const [made] = await server.publish([
          { topic: `${topic}/a`, type: 'made', data: { n: 1 } },
          { topic: `${topic}/a`, type: 'other', data: { n: 2 } },
          { topic: `${topic}/b`, type: 'made', data: { n: 3 } },
        ]);
        await until(() => got.length === 2, 'both');
        assert.deepEqual(
          got.map((event) => event.data.n),
          [1, 3],
        );
        assert.equal(got[0].id, made.id);
        assert.equal(got[0].topic, `${topic}/a`);
      });

      it('hands on every field of an event', async () => {
        const topic = `t/${unique()}`;
        const got = [];
        await make('ana').subscribe(topic, (event) => got.push(event)).ready;
        const expires = new Date(Date.now() + 3_600_000).toISOString();
        const kinds = [
          { type: 'made', data: { n: 1, text: 'Größe ✓' } },
          { type: 'state', key: 'k', data: 1, expires },
          { type: 'refresh', keys: [['orders', 7]], version: '9' },
          { type: 'news', notification: { title: 'One', body: 'Of one', url: '/one' } },
        ];
        const sent = await server.publish(kinds.map((kind) => ({ topic, ...kind })));
        const told = (n) => ({ ...kinds[n], id: sent[n].id, topic, seq: n + 1, time });
        await until(() => got.length === kinds.length, 'all');
        holds(got, [told(0), told(1), { ...told(2), spread_ms: 0 }, told(3)], 'what was published');
      });

      it('goes on where it was when the server has been started again', async () => {
        const topic = `t/${unique()}`;
        const client = make('ana');
        const got = [];
        const gaps = [];
        client.on('gap', (gap) => gaps.push(gap));
        await client.subscribe(topic, (event) => got.push(event.data)).ready;
        await server.publish({ topic, data: 1 });
        await until(() => got.length === 1, 'the first');
        await server.kill();
        await until(() => client.state.status === 'waiting', 'it is noticed');
        await server.launch();
        await server.publish([
          { topic, data: 2 },
          { topic, data: 3 },
        ]);
        await until(() => got.length === 3, 'the others');
        assert.deepEqual(got, [1, 2, 3]);
        assert.deepEqual(gaps, []);
      });

      it('goes on from a cursor that another page has kept', async () => {
        const topic = `t/${unique()}`;
        const sent = await server.publish([1, 2, 3].map((data) => ({ topic, data })));
        const got = [];
        make('ana').subscribe(topic, (event) => got.push(event.data), { since: sent[0].id });
        await until(() => got.length === 2, 'what follows it');
        assert.deepEqual(got, [2, 3]);
      });

      it('holds the feed: counts, live items, marks of this and of another device', async () => {
        const user = `u-${unique()}`;
        const note = (title) => ({ topic: `users/${user}`, type: 'news', notification: { title } });
        await server.publish([note('One'), note('Two')]);
        const [inbox, elsewhere] = [make(user).inbox(), make(user)];
        const stop = inbox.subscribe(() => {});
        const counts = () => inbox.getSnapshot().counts;
        const titles = () => inbox.getSnapshot().items.map((item) => item.title);
        await until(() => inbox.getSnapshot().status === 'ready', 'the page');
        assert.deepEqual([titles(), counts()], [['Two', 'One'], { unread: 2, unseen: 2 }]);
        await server.publish(note('Three'));
        await until(() => counts().unread === 3, 'the live one is counted');
        assert.deepEqual(titles(), ['Three', 'Two', 'One']);
        const unread = { type: 'news', seen: false, read: false, archived: false };
        const item = (title) => ({ title, id, topic: `users/${user}`, time, ...unread });
        holds(inbox.getSnapshot().items, ['Three', 'Two', 'One'].map(item), 'the items');
        const [three, two] = inbox.getSnapshot().items;
        await inbox.mark('read', two.id);
        await until(() => counts().unread === 2, 'its mark');
        const answer = await elsewhere.feed.mark('archived', three.id);
        holds(
          answer,
          { cursor: id, changed: true, counts: { unread: 1, unseen: 1 }, absent: [] },
          'the mark from elsewhere',
        );
        await until(() => counts().unread === 1 && titles().length === 2, 'the mark from elsewhere');
        assert.deepEqual(titles(), ['Two', 'One']);
        assert.deepEqual(await elsewhere.feed.counts(), { unread: 1, unseen: 1 });
        stop();
      });
    });
