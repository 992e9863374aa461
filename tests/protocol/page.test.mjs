// The page at `/` in Debian's Chromium: it shows the stream, publishes, and goes on over a kill -9.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { chromium } from 'playwright-core';

import { chromiumOptions } from './chromium.mjs';
import { Server } from './server.mjs';

describe('the dev page', () => {
  let server, browser, page;
  const problems = [];
  before(async () => {
    server = await Server.start();
    browser = await chromium.launch(chromiumOptions);
    page = await browser.newPage({ viewport: { width: 1100, height: 760 } });
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (line) => {
      if (line.type() === 'error') problems.push(line.text());
    });
    await page.goto(`${server.url}/#token=${server.token(null)}&key=${server.key}`);
  });
  after(async () => {
    await browser?.close();
    await server.stop();
  });
  const live = (transport) =>
    page.waitForFunction(
      (text) => document.querySelector('#state').textContent === text,
      `live · ${transport}`,
    );
  const events = (count) =>
    page.waitForFunction((n) => document.querySelectorAll('#events li:not(.control)').length === n, count);

  it('fills in what the address carries, and takes it out of the address', async () => {
    await live('WebSocket');
    assert.equal(await page.evaluate(() => location.hash), '');
  });

  it('publishes and shows the event', async () => {
    await page.click('#publish button');
    await events(1);
    assert.match(await page.textContent('#events li'), /booking\.confirmed users\/ana #1/);
    assert.match(await page.textContent('#answer'), /^stored as [0-9a-f]{16}\.1$/);
  });

  it('says what is wrong with a publish', async () => {
    await page.fill('#data', '{');
    await page.click('#publish button');
    assert.match(await page.textContent('#answer'), /not JSON/);
    await page.fill('#data', '{"n": 2}');
    await page.fill('#topic', 'a//b');
    await page.click('#publish button');
    await page.waitForFunction(() =>
      document.querySelector('#answer').textContent.includes('A segment is empty'),
    );
    await page.fill('#topic', 'users/ana');
  });

  for (const [name, transport] of [
    ['WebSocket', 'websocket'],
    ['server-sent events', 'sse'],
  ]) {
    it(`goes on over a kill -9 by ${name}`, async () => {
      await page.selectOption('#transport', transport);
      await page.click('#listen button');
      await live(name);
      const before = await page.locator('#events li:not(.control)').count();
      await server.kill();
      await page.waitForSelector('#state[data-state=waiting]');
      await server.launch();
      await server.publish({ topic: 'users/ana', type: 'while.away', data: transport });
      await live(name);
      await events(before + 1);
      assert.match(await page.locator('#events li').first().textContent(), /while\.away/);
      assert.equal(await page.locator('#events li.control').count(), 0, 'no reset: nothing was lost');
    });
  }

  it('looks as it should', async () => {
    if (process.env.SHOTS_FOLDER) {
      mkdirSync(process.env.SHOTS_FOLDER, { recursive: true });
      await page.screenshot({ path: `${process.env.SHOTS_FOLDER}/page.png`, fullPage: true });
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.setViewportSize({ width: 420, height: 900 });
      await page.screenshot({ path: `${process.env.SHOTS_FOLDER}/page-dark-narrow.png` });
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    assert.ok(wide, 'nothing sticks out');
    const expected = problems.filter(
      (line) => !/ERR_CONNECTION|WebSocket connection|Failed to load resource/.test(line),
    );
    assert.deepEqual(expected, []);
  });

  describe('with the feeds of two users', () => {
    const feed = (user) => `section[data-user=${user}]`;
    const unread = (user, count) =>
      page.waitForFunction(
        ([selector, n]) => document.querySelector(`${selector} .badge`)?.textContent === String(n),
        [feed(user), count],
      );
    before(async () => {
      const second = server.token(null, { user: 'bob' });
      await page.goto('about:blank');
      await page.goto(`${server.url}/#token=${server.token(null)}&second=${second}&key=${server.key}`);
      for (const user of ['ana', 'bob'])
        await page.waitForFunction(
          (selector) => document.querySelector(`${selector} small`)?.textContent === 'live',
          feed(user),
        );
    });

    it('notifies one, and marks one, a set and all', async () => {
      for (let i = 1; i <= 4; ++i) {
        await page.click(`${feed('ana')} form button`);
        await unread('ana', i);
      }
      await page.click(`${feed('ana')} li:first-child button:has-text("Read")`);
      await unread('ana', 3);
      await page.check(`${feed('ana')} li:nth-child(2) input`);
      await page.click(`${feed('ana')} [data-do=read]`);
      await unread('ana', 2);
      await page.click(`${feed('ana')} [data-do=all]`);
      await unread('ana', 0);
      await page.click(`${feed('ana')} li:first-child button:has-text("Unread")`);
      await unread('ana', 1);
      await unread('bob', 0);
    });

    it('lets both follow a topic, and broadcasts to them, over a kill', async () => {
      await page.check(`${feed('ana')} [data-do=follow]`);
      await page.check(`${feed('bob')} [data-do=follow]`);
      await page.waitForFunction(async (url) => (await fetch(`${url}/readyz`)).ok, server.url);
      await page.click('#broadcast');
      await unread('ana', 2);
      await unread('bob', 1);
      await server.kill();
      await server.launch();
      await page.click('#broadcast');
      await unread('bob', 2);
      if (process.env.SHOTS_FOLDER)
        await page.screenshot({ path: `${process.env.SHOTS_FOLDER}/feeds.png`, fullPage: true });
      assert.equal(await page.textContent(`${feed('bob')} li b`), 'Maintenance tonight at 22:00');
    });

    it('threat 27: nothing that is published runs in the page', async () => {
      const scripts = [
        '<script>window.ran=1</script>',
        '<img src=x onerror="window.ran=1">',
        '<svg onload="window.ran=1">',
        '"><iframe srcdoc="<script>parent.ran=1</script>">',
        'javascript:window.ran=1',
        '{{constructor.constructor("window.ran=1")()}}',
        '<a href="javascript:window.ran=1">x</a>',
        '</li></ul><script>window.ran=1</script>',
        '<math><mtext><table><mglyph><style><img src=x onerror=window.ran=1>',
        '&lt;script&gt;window.ran=1&lt;/script&gt;',
      ];
      const events = Array.from({ length: 500 }, (_, i) => {
        const text = `${scripts[i % scripts.length]}${i}`;
        const notification = { title: text, body: text, url: i % 2 ? 'javascript:window.ran=1' : '/x' };
        return { topic: 'users/ana', type: 'xss', data: { text }, notification };
      });
      await server.publish(events);
      // "all" marks what this feed has, so the last must be there before it is pressed. The stream of
      // the topic above shows it too, and may be back after the kill long before the feed is.
      const last = events.at(-1).data.text;
      await page.locator(`${feed('ana')} li:first-child b`, { hasText: last }).waitFor();
      for (const link of await page.locator('section a').all()) {
        const target = await link.getAttribute('href');
        assert.doesNotMatch(target ?? '', /^\s*javascript:/i);
      }
      await page.waitForTimeout(300);
      assert.equal(await page.evaluate(() => window.ran), undefined);
      await page.click(`${feed('ana')} [data-do=all]`);
      await unread('ana', 0);
    });
  });
});
