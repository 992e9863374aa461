// Each way to listen, as a browser speaks it: native EventSource, and the SDK over each transport, also
// where something in between gets in the way.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nginx } from '../../tests/protocol/proxies.mjs';
import { blockWebSocket, listen, live, open, Server, Site, stage, unique } from './site.mjs';

describe('transports in a browser', () => {
  let server, site, browser, stop, context;
  before(async () => {
    ({ server, site, browser, stop } = await stage());
    context = await browser.newContext();
  });
  after(() => stop?.());
  const got = (page, n) =>
    page.waitForFunction((count) => window.got?.length >= count, n, { timeout: 15_000 });

  describe('native EventSource, by a ticket', () => {
    const ticket = async (topics, ttl = 3600) => {
      const token = server.token(['#'], { ttl });
      const { status, body } = await server.call('POST', '/v1/tickets', { topics }, token);
      assert.equal(status, 201, JSON.stringify(body));
      return body.ticket;
    };
    const script = (address, more = '') => `window.got = []; window.errors = 0;
      window.source = new EventSource('${address}');
      source.onerror = () => { window.errors += 1; };
      source.onmessage = (event) => got.push(JSON.parse(event.data).data);
      source.addEventListener('named', (event) => got.push(JSON.parse(event.data).data));${more}`;

    it('onmessage by event=message, named events without, and reconnect with Last-Event-ID', async () => {
      for (const named of [false, true]) {
        const own = await Server.start();
        const topic = unique();
        const { body } = await own.call('POST', '/v1/tickets', { topics: [topic] }, own.token(['#']));
        const name = named ? '' : '&event=message';
        const address = `${own.url}/v1/events?ticket=${encodeURIComponent(body.ticket)}${name}`;
        const page = await open(context, site.page('/es', { options: null, script: script(address) }));
        await page.waitForFunction(() => window.source.readyState === 1);
        await own.publish({ topic, type: 'named', data: 1 });
        await got(page, 1);
        await own.kill();
        await page.waitForFunction(() => window.errors > 0 && window.source.readyState === 0);
        await own.launch();
        await own.publish({ topic, type: 'named', data: 2 });
        await got(page, 2);
        assert.deepEqual(await page.evaluate(() => window.got), [1, 2]);
        await page.close();
        await own.stop();
      }
    });

    it('ends with its token, and says so', async () => {
      const topic = unique();
      const address = `${server.url}/v1/events?ticket=${encodeURIComponent(await ticket([topic], 2))}`;
      const page = await open(
        context,
        site.page('/expiry', {
          options: null,
          script: script(
            address,
            `
        window.closes = [];
        source.addEventListener('close', (event) => closes.push(JSON.parse(event.data).code));`,
          ),
        }),
      );
      await page.waitForFunction(() => window.closes.length > 0, null, { timeout: 10_000 });
      assert.equal((await page.evaluate(() => window.closes))[0], 'token_expired');
      await page.close();
    });

    it('sixty streams over one HTTP/2 connection', async () => {
      const tls = await Server.start({ tls: true });
      const own = await browser.newContext({ ignoreHTTPSErrors: true });
      const page = await own.newPage();
      const tickets = [];
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
      for (let n = 0; n < 60; n++)
        tickets.push(
          (await tls.call('POST', '/v1/tickets', { topics: [`many/${n}`] }, tls.token(['#']))).body.ticket,
        );
      await page.goto(`${tls.url}/healthz`);
      await page.evaluate((all) => {
        window.heard = new Set();
        window.sources = all.map((ticket, n) => {
          const source = new EventSource(`/v1/events?event=message&ticket=${encodeURIComponent(ticket)}`);
          source.onmessage = () => window.heard.add(n);
          return source;
        });
      }, tickets);
      await page.waitForFunction(() => window.sources.every((source) => source.readyState === 1), null, {
        timeout: 15_000,
      });
      await tls.publish(tickets.map((_, n) => ({ topic: `many/${n}` })));
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      await page.waitForFunction(() => window.heard.size === 60);
      const sockets = execFileSync('ss', ['-tnH', 'state', 'established', `( sport = :${tls.port} )`], {
        encoding: 'utf8',
      });
      const mine = sockets.trim().split('\n').filter(Boolean).length;
      assert.ok(mine <= 3, `${mine} connections for sixty streams`);
      await own.close();
      await tls.stop();
    });
  });

  describe('the SDK', () => {
    for (const name of ['websocket', 'sse', 'http-stream', 'long-poll', 'poll']) {
      it(`over ${name}`, async () => {
        const topic = unique();
        const page = await open(
          context,
          site.page('/sdk', {
            options: `transports: ['${name}'], tabs: 'isolated', pollIntervalMs: 50, lingerMs: 0`,
            script: listen(topic),
          }),
        );
        for (let n = 0; n < 5; n++) await server.publish({ topic, data: n });
        await got(page, 5);
        assert.deepEqual(await page.evaluate(() => window.got), [0, 1, 2, 3, 4]);
        assert.equal(await page.evaluate(() => window.client.state.transport), name);
        await page.evaluate(() => window.sub.unsubscribe());
        await page.waitForFunction(
          () => window.client.state.status === 'idle' && window.client.running === 0,
        );
        assert.deepEqual(page.problems, []);
        await page.close();
      });
    }

    it('falls back when WebSocket is blocked, and then SSE', async () => {
      const own = await browser.newContext();
      await blockWebSocket(own);
      const topic = unique();
      await own.route('**/v1/events?*', (route) =>
        route.request().headers().accept === 'text/event-stream' ? route.abort() : route.continue(),
      );
      const page = await open(
        own,
        site.page('/blocked', {
          options: `tabs: 'isolated', reconnect: { minDelayMs: 20 }, logger: () => {}`,
          script: `window.got = []; client.subscribe('${topic}', (event) => got.push(event.data));`,
        }),
      );
      await live(page);
      assert.equal(await page.evaluate(() => window.client.state.transport), 'long-poll');
      await server.publish({ topic, data: 'through' });
      await got(page, 1);
      const warm = await open(own, `${site.url}/blocked`);
      await live(warm);
      assert.equal(await page.evaluate(() => window.client.state.transport), 'long-poll');
      await own.close();
    });

    it('behind a proxy that buffers, the first event comes within 10 s', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
      const behind = await nginx(folder, server, { plain: true });
      const topic = unique();
      const page = await open(
        context,
        site.page('/buffered', {
          options: null,
          script: `window.got = [];
          const transports = ['websocket', 'sse', 'poll'];
          window.client = belfry.createClient({ url: '${behind.url}', getToken, tabs: 'isolated',
            transports });
          client.subscribe('${topic}', (event) => got.push(Date.now() - event.data));`,
        }),
      );
      await live(page);
      await server.publish({ topic, data: Date.now() });
      await got(page, 1);
      assert.ok((await page.evaluate(() => window.got[0])) < 10_000);
      await page.close();
      await behind.stop();
      rmSync(folder, { recursive: true, force: true });
    });
  });

  it('says which setting is missing when its origin is not allowed', async () => {
    const strict = await Server.start({ config: {} });
    const place = await Site.start(strict);
    const page = await open(
      context,
      place.page('/origin', {
        options: `transports: ['sse'], tabs: 'isolated', reconnect: { minDelayMs: 5, maxDelayMs: 10 },
          logger: (entry) => (window.logged ??= []).push(entry.message)`,
        script: `client.subscribe('a', () => {});`,
      }),
    );
    await page.waitForFunction(() => window.logged?.length);
    const [said] = await page.evaluate(() => window.logged);
    assert.match(said, new RegExp(`Add "${place.url}" to http.allowed_origins`));
    assert.equal(await page.evaluate(() => window.logged.length), 1, 'once');
    assert.equal(
      await page.evaluate(() => window.client.state.status === 'closed'),
      false,
      'it goes on trying',
    );
    await page.close();
    place.stop();
    await strict.stop();
  });

  it('does without storage', async () => {
    const own = await browser.newContext();
    await own.addInitScript(() => {
      const denied = () => {
        throw new DOMException('denied', 'SecurityError');
      };
      for (const name of ['sessionStorage', 'localStorage'])
        Object.defineProperty(window, name, { get: denied });
    });
    const topic = unique();
    const page = await open(
      own,
      site.page('/storage', { options: `transports: ['sse']`, script: listen(topic) }),
    );
    await server.publish({ topic, data: 1 });
    await got(page, 1);
    assert.deepEqual(page.problems, []);
    await own.close();
  });

  it('publish to text on the page: median and p99 of each transport', async () => {
    const rows = [];
    for (const name of ['websocket', 'sse', 'http-stream', 'long-poll', 'poll']) {
      const topic = unique();
      const page = await open(
        context,
        site.page('/latency', {
          options: `transports: ['${name}'], tabs: 'isolated', pollIntervalMs: 100`,
          body: '<p id="text"></p>',
          script: `window.shown = [];
          const sub = client.subscribe('${topic}', (event) => {
            document.querySelector('#text').textContent = event.data.n;
            const note = () => shown.push(Date.now() - event.data.at);
            requestAnimationFrame(() => requestAnimationFrame(note));
          });
          await sub.ready;`,
        }),
      );
      for (let n = 0; n < 100; n++) {
        await server.publish({ topic, data: { n, at: Date.now() } });
        await page.waitForFunction((count) => window.shown.length > count, n);
      }
      const times = (await page.evaluate(() => window.shown)).sort((a, b) => a - b);
      rows.push(`${name.padEnd(12)} median ${times[50]} ms, p99 ${times[99]} ms`);
      assert.equal(times.length, 100);
      await page.close();
    }
    console.log(`published to visible, Chromium on loopback (poll every 100 ms):\n${rows.join('\n')}`);
  });
});
