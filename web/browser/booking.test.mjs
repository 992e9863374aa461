// The booking demo in Chromium: its routes, both patterns of events, and a payment that turns green
// whatever happens.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Postgres } from '../../tests/protocol/postgres.mjs';
import { belfry } from '../../tests/protocol/sources.mjs';
import { blockWebSocket, freeze, launch, picture, Server, until } from './site.mjs';

const demo = new URL('../../examples/booking/', import.meta.url).pathname;

class BookingSite {
  static async start(server, more = []) {
    const site = new BookingSite();
    site.folder = mkdtempSync(join(tmpdir(), 'booking-'));
    const files = ['--key', join(server.data, 'backend_key'), '--secret', join(server.data, 'jwt_secret')];
    const place = ['--port', '0', '--data', site.folder, '--belfry', server.url];
    site.child = spawn('node', ['server/main.mjs', ...place, ...files, ...more], {
      cwd: demo,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    site.url = await new Promise((resolve, reject) => {
      let text = '';
      site.child.stdout.on('data', (bytes) => {
        text += bytes;
        const found = /http:\/\/\S+/.exec(text);
        if (found) resolve(found[0]);
      });
      site.child.on('exit', (code) => reject(new Error(`the booking site ended with ${code}`)));
    });
    return site;
  }
  async call(method, path, body, headers = {}) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { 'Content-Type': 'application/json', ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return { status: answer.status, body: await answer.json() };
  }
  async stop() {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe('the booking demo', () => {
  let server,
    site,
    browser,
    context,
    day = 0;
  before(async () => {
    server = await Server.start();
    site = await BookingSite.start(server);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await site?.stop();
    await server?.stop();
  });
  beforeEach(async () => {
    await context?.close();
    context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
  });

  const signIn = async (user = 'ana', where = context) => {
    const page = await where.newPage();
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(String(error)));
    await page.goto(site.url);
    await page.waitForSelector('input[name=user], header nav');
    if (await page.$('input[name=user]')) {
      await page.fill('input[name=user]', user);
      await page.click('button');
    }
    await page.waitForSelector('header nav');
    return page;
  };
  const live = (page) =>
    page.waitForFunction(() => window.belfry.state.status === 'live', null, { timeout: 20_000 });
  const asUser = async (page, path, body) =>
    page.evaluate(
      async ([to, what]) =>
        (
          await fetch(to, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(what),
          })
        ).json(),
      [path, body],
    );
  /** A booking that waits to be paid, on days of its own. */
  const book = async (page) => {
    const arrival = new Date(Date.UTC(2030, 0, 1 + 3 * day++)).toISOString().slice(0, 10);
    return asUser(page, '/bookings', { room: 1, arrival, nights: 2 });
  };
  const charge = async (page) => asUser(page, '/payments/pix', { bookingId: (await book(page)).id });
  const show = async (page, id) => {
    await page.goto(`${site.url}/#/pay/${id}`);
    await page.waitForSelector('section[data-status]');
  };
  const pay = async (txid) => assert.equal((await site.call('POST', '/bank/pay', { txid })).status, 200);
  const green = (page) => page.waitForSelector('section[data-status=confirmed]', { timeout: 20_000 });

  it('search, book, change, cancel, pay: by hand', async () => {
    const page = await signIn('maria');
    await live(page);
    await page.click('.cards li:nth-child(2) button');
    await page.waitForSelector('h1:has-text("My bookings")');
    await page.click('button:text-is("Change")');
    await page.fill('input[name=nights]', '3');
    await page.click('text=Save');
    await page.waitForSelector('text=3 nights');
    await picture(page, 'booking-list');
    await page.click('text=Pay with Pix');
    await page.waitForSelector('img.qr');
    await live(page);
    await picture(page, 'booking-pay');
    const bank = await context.newPage();
    await bank.goto(`${site.url}/#/bank`);
    await bank.click('.cards button');
    await green(page);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Payment confirmed');
    await page.waitForFunction(
      () =>
        document.querySelector('belfry-bell').renderRoot.querySelector('[part=badge]')?.textContent === '1',
    );
    await page.click('belfry-bell >> [part=trigger]');
    await page.waitForSelector('belfry-bell >> article');
    await picture(page, 'booking-confirmed');
    await page.keyboard.press('Escape');
    await page.click('nav >> text=My bookings');
    await page.click('.tag.confirmed >> xpath=ancestor::li >> text=Cancel');
    await page.waitForSelector('.tag.cancelled');
    assert.deepEqual(page.problems, []);
  });

  it('rooms are kept by refresh events: what one books is taken for the other', async () => {
    const one = await signIn('ana');
    const other = await browser.newContext();
    const two = await signIn('bia', other);
    await Promise.all([live(one), live(two)]);
    const arrival = await one.inputValue('input[type=date]');
    assert.equal(await two.textContent('.cards li:nth-child(3) button'), 'Book');
    await asUser(one, '/bookings', { room: 3, arrival, nights: 1 });
    await two.waitForSelector('.cards li:nth-child(3).taken', { timeout: 5_000 });
    await other.close();
  });

  it('a form that is open is not refreshed under the hand', async () => {
    const page = await signIn('carla');
    const { id } = await book(page);
    await page.click('nav >> text=My bookings');
    await live(page);
    await page.click('button:text-is("Change")');
    await page.fill('input[name=nights]', '9');
    await asUser(page, '/bookings', { room: 4, arrival: '2031-05-01', nights: 1 });
    await new Promise((resolve) => setTimeout(resolve, 800));
    assert.equal(await page.inputValue(`[data-id="${id}"] input[name=nights]`), '9');
    assert.equal(await page.locator('.cards li').count(), 1, 'held back');
    await page.click('text=Leave as it is');
    await until(async () => (await page.locator('.cards li').count()) === 2, 'and then shown');
  });

  it('the confirmation must be signed, in time, and only its owner sees the payment', async () => {
    const page = await signIn();
    const { txid, amount, id } = await charge(page);
    const body = { txid, endToEndId: 'E1', amount };
    assert.equal((await site.call('POST', '/payments/pix/confirmation', body)).status, 401);
    const old = { 'X-Pix-Time': String(Date.now() - 600_000), 'X-Pix-Signature': 'x' };
    assert.equal((await site.call('POST', '/payments/pix/confirmation', body, old)).status, 401);
    await pay(txid);
    assert.equal((await site.call('POST', '/bank/pay', { txid })).status, 404, 'paid once');
    assert.equal(
      (await page.evaluate(async (one) => (await fetch(`/payments/${one}`)).json(), id)).status,
      'confirmed',
    );
    assert.equal((await site.call('GET', `/payments/${id}`)).status, 401, 'only its owner sees it');
  });

  it('a payment turns green with the socket blocked', async () => {
    await blockWebSocket(context);
    const page = await signIn('dora');
    const { id, txid } = await charge(page);
    await show(page, id);
    await live(page);
    assert.notEqual(await page.evaluate(() => window.belfry.state.transport), 'websocket');
    await pay(txid);
    await green(page);
  });

  it('… with the tab asleep', async () => {
    const page = await signIn('eva');
    const { id, txid } = await charge(page);
    await show(page, id);
    await live(page);
    const thawed = freeze(page, 3_000);
    await pay(txid);
    await thawed;
    await green(page);
  });

  it('… confirmed before the page loads', async () => {
    const page = await signIn('fabia');
    const { id, txid } = await charge(page);
    await pay(txid);
    await show(page, id);
    await green(page);
  });

  it('… in two tabs', async () => {
    const first = await signIn('gabi');
    const second = await signIn('gabi');
    const { id, txid } = await charge(first);
    await show(first, id);
    await show(second, id);
    await Promise.all([live(first), live(second)]);
    await pay(txid);
    await Promise.all([green(first), green(second)]);
    const roles = [
      await first.evaluate(() => window.belfry.state.role),
      await second.evaluate(() => window.belfry.state.role),
    ];
    assert.deepEqual(roles.sort(), ['follower', 'leader']);
  });

  it('… with the server restarted, while the payment comes', async () => {
    const page = await signIn('hana');
    const { id, txid } = await charge(page);
    await show(page, id);
    await live(page);
    await server.kill();
    await page.waitForFunction(() => window.belfry.state.status !== 'live');
    await pay(txid);
    await server.launch();
    await green(page);
    await live(page);
    await page.waitForFunction(
      () =>
        document.querySelector('belfry-bell').renderRoot.querySelector('[part=badge]')?.textContent === '1',
    );
  });

  it('switches its transport while it runs, and shows what each costs', async () => {
    const page = await signIn('ines');
    await live(page);
    for (const name of ['websocket', 'sse', 'http-stream', 'long-poll', 'poll']) {
      await page.selectOption('aside select', name);
      await page.waitForFunction((want) => window.belfry.state.transport === want, name);
      if (name === 'poll') await page.fill('aside input[type=number]', '1');
      await page.click('text=Send an event');
      await page.waitForFunction(
        () => document.querySelector('tr.used td:last-child')?.textContent.endsWith('ms'),
        null,
        { timeout: 10_000 },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 600));
    const rows = await page.locator('aside tbody tr td:nth-child(2)').allTextContents();
    assert.equal(rows.length, 5);
    assert.ok(
      rows.every((text) => Number(text.split(' ')[0]) > 0),
      rows.join(', '),
    );
    await picture(page, 'booking-transports');
    assert.deepEqual(page.problems, []);
  });
});

describe('the booking demo with its data in PostgreSQL', () => {
  it('rings the same bell, with no publishing code in the application', async () => {
    const database = await Postgres.start();
    const installed = await belfry(['source', 'install', 'postgres', '--url', database.url]);
    assert.equal(installed.code, 0, installed.stderr);
    const server = await Server.start({
      devConfig: `[source.booking]\nkind = "postgres-outbox"\nurl = "${database.url}"\n`,
    });
    const site = await BookingSite.start(server, ['--sql', database.url]);
    const browser = await launch();
    try {
      const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
      const page = await context.newPage();
      await page.goto(site.url);
      await page.fill('input[name=user]', 'ana');
      await page.click('button');
      await page.waitForSelector('header nav');
      const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
      const as = { Cookie: cookie };
      const booked = await site.call(
        'POST',
        '/bookings',
        { room: 2, arrival: '2031-02-01', nights: 2 },
        as,
      );
      assert.equal(booked.status, 201);
      const taken = await site.call('POST', '/bookings', { room: 2, arrival: '2031-02-02', nights: 1 }, as);
      assert.equal(taken.status, 409);
      const charge = await site.call('POST', '/payments/pix', { bookingId: booked.body.id }, as);
      await page.goto(`${site.url}/#/pay/${charge.body.id}`);
      const paid = await site.call('POST', '/bank/pay', { txid: charge.body.txid });
      assert.equal(paid.status, 200);
      await until(async () => /confirmed/i.test(await page.textContent('main')), 'the page turns green');
      await page.waitForFunction(
        () =>
          document.querySelector('belfry-bell').renderRoot.querySelector('[part=badge]')?.textContent ===
          '1',
      );
      await page.click('belfry-bell >> [part=trigger]');
      await page.waitForSelector('belfry-bell >> article');
      const [article] = await page.locator('belfry-bell >> article').allTextContents();
      assert.match(article, /Payment confirmed/);
      assert.match(article, /R\$ 760,00 by Pix/);
      const own = await site.call('GET', '/bookings', undefined, as);
      assert.equal(own.body[0].status, 'confirmed');
      assert.equal(own.body[0].version, 2);
    } finally {
      await browser.close();
      await site.stop();
      await server.stop();
      await database.stop();
    }
  });
});
