// Behind real proxies with their defaults: every transport works, nobody sees what is another's, and
// nothing hides in a request.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { kinds, SseClient } from './clients.mjs';
import { caddy, haproxy, nginx, varnish } from './proxies.mjs';
import { Server, unique, until } from './server.mjs';
import { count, exchange } from './threats.mjs';

for (const [name, start] of [
  ['nginx', nginx],
  ['HAProxy', haproxy],
  ['Varnish', varnish],
  ['Caddy', caddy],
]) {
  describe(`behind ${name}`, () => {
    let server, folder, proxy, behind;
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'belfry-'));
      server = await Server.start({ config: { http: 'trusted_proxies = ["127.0.0.1"]\n' } });
      proxy = await start(folder, server);
      behind = Object.create(server, { url: { value: proxy.url }, port: { value: proxy.port } });
    });
    after(async () => {
      await proxy?.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    for (const [kind, Kind, options] of kinds) {
      it(`${kind}: the first byte within a second, events at once and in order`, async () => {
        const topic = unique();
        const [{ id }] = await server.publish({ topic: 'other' });
        const began = Date.now();
        const client = await new Kind(behind, topic, { since: id, ...options }).open();
        assert.ok(Date.now() - began < 1000, `${Date.now() - began} ms`);
        for (let i = 0; i < 10; ++i) {
          await server.publish({ topic, data: i });
          await until(() => client.events.length === i + 1, `event ${i}, on its own`, 2000);
        }
        assert.deepEqual(
          client.events.map((event) => event.data),
          [...Array(10).keys()],
        );
        client.close();
      });
    }

    it('threat 24: no answer is given to another user, in thousands of polls and pages', async () => {
      const users = Array.from({ length: 100 }, (_, i) => ({
        name: `u${i}`,
        token: server.token(undefined, { user: `u${i}` }),
      }));
      await server.publish(
        users.map(({ name: user }) => ({
          topic: `users/${user}`,
          notification: { title: user },
          data: user,
        })),
      );
      const total = count(2000, 10_000);
      let crossed = 0;
      const ask = async (i) => {
        const user = users[i % users.length];
        // The same address for everybody: only the token differs.
        const path = ['/v1/feed', '/v1/events?feed=true&since=earliest'][i % 2];
        const answer = await fetch(proxy.url + path, {
          headers: { Authorization: `Bearer ${user.token}`, Accept: 'application/json' },
        });
        const text = await answer.text();
        assert.equal(answer.status, 200, text);
        const title = text.match(/"title":"(u\d+)"/)?.[1];
        crossed += title !== user.name ? 1 : 0;
      };
      for (let i = 0; i < total; i += 20) await Promise.all([...Array(20).keys()].map((k) => ask(i + k)));
      assert.equal(crossed, 0);
    });

    it('threat 11: a request that the proxy lets through ends where the proxy thinks', async () => {
      const inner = `GET /smuggled-${unique()} HTTP/1.1\r\nHost: h\r\n\r\n`;
      const bodies = ['0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n', '5;\nx\r\nhello\r\n0\r\n\r\n', '0\n\n', ''];
      const lengths = [
        'Content-Length: 0',
        'Content-Length: 5',
        'Content-Length : 0',
        'Content-Length: 0\r\nContent-Length: 90',
      ];
      const codings = [
        '',
        'Transfer-Encoding: chunked',
        'Transfer-Encoding: xchunked',
        'Transfer-Encoding\t: chunked',
        'Transfer-Encoding: chunked, identity',
      ];
      let vectors = 0;
      for (const body of bodies) {
        for (const length of lengths) {
          for (const coding of codings) {
            const fields = [length, ...(coding ? [coding] : [])].join('\r\n');
            const head = `POST /v1/events HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n`;
            const answer = await exchange(proxy.port, Buffer.from(`${head}${body}${inner}`, 'latin1'), {
              quiet: 40,
            });
            // However many requests the proxy saw, each has one answer of its own, and a connection that is
            // used again by another client never holds an answer too many.
            const next = await fetch(`${proxy.url}/healthz`);
            assert.equal(await next.text(), 'ok\n', `${head}${body}\n${answer}`);
            ++vectors;
          }
        }
      }
      assert.equal(vectors, 100);
    });
  });
}

describe('behind HAProxy with the PROXY protocol', () => {
  it('the address of the client is the client’s', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    const http = 'trusted_proxies = ["127.0.0.1"]\nproxy_protocol = true\n';
    const server = await Server.start({ config: { http } });
    const proxy = await haproxy(folder, server, { proxyProtocol: true });
    const behind = Object.create(server, { url: { value: proxy.url } });
    const client = await new SseClient(behind, 'a').open();
    await behind.publish({ topic: 'a', data: 1 });
    await until(() => client.events.length === 1, 'an event');
    client.close();
    await proxy.stop();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
});
