// One connection for all tabs: five pages of one browser, a leader that dies, one that freezes, and logout.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { freeze, listen, live, open, Server, Site, stage, unique, until } from './site.mjs';

describe('five tabs', () => {
  let server, site, browser, stop, context, pages, topic;
  const sessions = () => server.metric('belfry_sessions');
  const role = (page) => page.evaluate(() => window.client.state.role).catch(() => 'gone');
  const roles = async () => (await Promise.all(pages.map(role))).sort();
  const leader = async () => {
    for (const page of pages) if ((await role(page)) === 'leader') return page;
    return undefined;
  };
  const bring = (page) => page.evaluate(() => window.got);

  before(async () => {
    ({ server, site, browser, stop } = await stage());
  });
  after(() => stop?.());
  beforeEach(async () => {
    await context?.close();
    context = await browser.newContext();
    topic = unique();
    const address = site.page(`/tabs`, {
      options: 'lingerMs: 0',
      script: `window.got = [];
        window.states = []; client.on('state', ({ status }) => states.push(status));
        window.sub = client.subscribe('${topic}', (event) => got.push(event.data));
        window.inbox = client.inbox(); inbox.subscribe(() => {});`,
    });
    pages = [];
    for (let n = 0; n < 5; n++) pages.push(await open(context, address));
    for (const page of pages) {
      await live(page);
      await page.evaluate(() => window.sub.ready);
    }
  });

  it('share one connection, and each gets everything', async () => {
    assert.deepEqual(await roles(), ['follower', 'follower', 'follower', 'follower', 'leader']);
    await until(async () => (await sessions()) === 1, 'one session on the server');
    for (let n = 0; n < 100; n++) await server.publish({ topic, data: n });
    for (const page of pages) {
      await page.waitForFunction(() => window.got.length === 100);
      assert.deepEqual(await bring(page), [...Array(100).keys()]);
    }
    // A topic that one tab alone wants, and no longer wants.
    const more = unique();
    await pages[3].evaluate(async (name) => {
      window.second = client.subscribe(name, (event) => got.push(event.data));
      await second.ready;
    }, more);
    await server.publish({ topic: more, data: 'extra' });
    await pages[3].waitForFunction(() => window.got.at(-1) === 'extra');
    assert.equal((await bring(pages[0])).length, 100);
  });

  it('learn of a topic that is refused, and go on with the others', async () => {
    let follower;
    for (const page of pages) if ((await role(page)) === 'follower') follower = page;
    const code = await follower.evaluate(() =>
      client
        .subscribe('no topic', () => {})
        .ready.then(
          () => 'taken up',
          (error) => error.code,
        ),
    );
    assert.equal(code, 'bad_pattern');
    await server.publish({ topic, data: 'still' });
    for (const page of pages) await page.waitForFunction(() => window.got.at(-1) === 'still');
    assert.equal(await sessions(), 1);
  });

  it('lose nothing and double nothing over a thousand events when the leader dies', async () => {
    let sent = 0;
    const publish = async (n) => {
      for (const end = sent + n; sent < end;) await server.publish({ topic, data: sent++ });
    };
    await publish(300);
    const first = await leader();
    pages = pages.filter((page) => page !== first);
    const began = Date.now();
    const [, took] = await Promise.all([
      publish(400),
      first.close({ runBeforeUnload: false }).then(async () => {
        await until(async () => (await roles()).includes('leader'), 'a new leader');
        await until(
          async () => (await (await leader()).evaluate(() => window.client.state.status)) === 'live',
          'it is live',
        );
        return Date.now() - began;
      }),
    ]);
    await publish(300);
    console.log(`a new leader was live ${took} ms after the old one was closed`);
    assert.ok(took < 1_000, `${took} ms`);
    for (const page of pages) {
      await page.waitForFunction(() => window.got.length >= 1000);
      assert.deepEqual(await bring(page), [...Array(1000).keys()]);
    }
    await until(async () => (await sessions()) === 1, 'one session on the server');
  });

  it('take over from a leader that is frozen, within 8 s', async () => {
    const first = await leader();
    const others = pages.filter((page) => page !== first);
    const thawed = freeze(first, 12_000);
    const began = Date.now();
    pages = others;
    await until(async () => (await roles()).includes('leader'), 'one of the others leads', 12_000);
    const took = Date.now() - began;
    console.log(`stolen from a frozen leader after ${took} ms`);
    assert.ok(took < 8_000, `${took} ms`);
    await live(await leader());
    await server.publish({ topic, data: 'after' });
    for (const page of others) await page.waitForFunction(() => window.got.includes('after'));
    await thawed;
    await first.waitForFunction(() => window.got.includes('after'));
    pages = [...others, first];
    await until(async () => (await roles()).filter((one) => one === 'leader').length === 1, 'one leader');
    await until(async () => (await sessions()) === 1, 'one session on the server');
  });

  it('mark together: what one reads is read in all at once', async () => {
    const [{ id }] = await server.publish({
      topic: 'users/ana',
      type: 'told',
      notification: { title: 'hello' },
    });
    for (const page of pages)
      await page.waitForFunction((wanted) => window.inbox.getSnapshot().items[0]?.id === wanted, id);
    await pages[2].evaluate((one) => window.inbox.mark('read', one), id);
    for (const page of pages) await page.waitForFunction(() => window.inbox.getSnapshot().items[0].read);
    await until(
      async () => (await server.call('GET', '/v1/feed?user=ana&limit=0')).body.counts.unread === 0,
      'on the server',
    );
  });

  it('log out together, and nothing runs on', async () => {
    await pages[1].evaluate(() => window.client.logout());
    for (const page of pages) {
      await page.waitForFunction(
        () => window.client.state.status === 'closed' && window.client.state.reason === 'logout',
      );
      await page.waitForFunction(() => window.client.running === 0);
    }
    await until(async () => (await sessions()) === 0, 'no session on the server');
    const locks = await pages[0].evaluate(async () => (await navigator.locks.query()).held.length);
    assert.equal(locks, 0);
  });

  it('are alone where there are no locks, and share nothing between users', async () => {
    await context.close();
    context = await browser.newContext();
    await context.addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined }));
    const one = await open(context, `${site.url}/tabs`);
    await live(one);
    assert.equal(await role(one), 'solo');
    await context.close();
    context = await browser.newContext();
    const ana = await open(context, `${site.url}/tabs`);
    site.token = () => server.token(['#'], { user: 'bea' });
    const bea = await open(context, `${site.url}/tabs`);
    site.token = () => server.token(['#']);
    await Promise.all([ana, bea].map(live));
    assert.deepEqual([await role(ana), await role(bea)], ['leader', 'leader']);
    pages = [];
  });
});

describe('a tab that sleeps', () => {
  let server, site, browser, stop, context;
  before(async () => {
    ({ server, site, browser, stop } = await stage());
    context = await browser.newContext();
  });
  after(() => stop?.());

  for (const transport of ['websocket', 'sse', 'long-poll']) {
    it(`past its token's life comes back without a stale token on the wire: ${transport}`, async () => {
      const topic = unique();
      site.token = () => server.token(['#'], { ttl: 4 });
      const page = await open(
        context,
        site.page('/sleep', {
          options: `transports: ['${transport}'], tabs: 'isolated'`,
          script: listen(topic),
        }),
      );
      // Of requests that are sent once it is awake: the one that is open meanwhile ends with its token.
      const refused = [];
      let awake = Number.POSITIVE_INFINITY;
      page.on('request', (request) => {
        if (Date.now() < awake) return;
        request.response().then(
          (response) => response?.status() === 401 && refused.push(request.url()),
          () => {},
        );
      });
      const frames = [];
      page.on('websocket', (socket) =>
        socket.on('framereceived', ({ payload }) => frames.push(String(payload))),
      );
      awake = Date.now() + 7_000;
      const thawed = freeze(page, 8_000);
      await server.publish({ topic, data: 'while asleep' });
      await thawed;
      await page.waitForFunction(() => window.got.includes('while asleep'), null, { timeout: 20_000 });
      await live(page);
      await server.publish({ topic, data: 'awake' });
      await page.waitForFunction(() => window.got.includes('awake'));
      assert.deepEqual(await page.evaluate(() => window.got), ['while asleep', 'awake']);
      assert.deepEqual(refused, []);
      // The end of the old stream may have waited to be read; what was sent since was never refused.
      assert.ok(!frames.some((text) => /token_invalid|unauthenticated/.test(text)), String(frames));
      await page.close();
    });
  }

  it('goes on over a restart of the server', async () => {
    const own = await Server.start();
    const place = await Site.start(own);
    const topic = unique();
    const page = await open(
      context,
      place.page('/restart', {
        options: `reconnect: { minDelayMs: 50 }`,
        script: `window.got = []; window.gaps = 0; client.on('gap', () => { gaps += 1; });
        window.sub = client.subscribe('${topic}', (event) => got.push(event.data)); await sub.ready;`,
      }),
    );
    for (let n = 0; n < 3; n++) {
      await own.publish({ topic, data: 2 * n });
      await own.kill(n % 2 ? 'SIGTERM' : 'SIGKILL');
      await own.launch();
      await own.publish({ topic, data: 2 * n + 1 });
      await page.waitForFunction((count) => window.got.length >= count, 2 * n + 2, { timeout: 20_000 });
    }
    assert.deepEqual(await page.evaluate(() => window.got), [0, 1, 2, 3, 4, 5]);
    assert.equal(await page.evaluate(() => window.gaps), 0);
    place.stop();
    await own.stop();
  });
});
