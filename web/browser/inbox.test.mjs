// The bell and the inbox in Chromium: accessible by rule and by keyboard, harmless whatever is published,
// right to left, dark, narrow.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { open, picture, stage, until } from './site.mjs';

const axeSource = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

describe('the inbox', () => {
  let server, site, browser, stop, context, page;
  const users = new Map();
  const tell = (user, title, more = {}) =>
    server
      .publish({ topic: `users/${user}`, type: 'told', notification: { title, ...more } })
      .then(([{ id }]) => id);
  const fresh = async (user, { html = '', lang = 'en', options = {} } = {}) => {
    site.token = () => server.token(null, { user });
    await context?.close();
    context = await browser.newContext({ viewport: { width: 900, height: 700 }, ...options });
    const address = site.page('/inbox', {
      options: null,
      body: `<p><a href="#before">before</a></p>
<belfry-bell url="${server.url}" token-url="/token" locale="${lang}" ${html}></belfry-bell>`,
      script: `await import('${server.url}/sdk/inbox.js');
window.bell = document.querySelector('belfry-bell');`,
    });
    page = await open(context, address);
    users.set(user, page);
    return page;
  };
  const badge = (text) =>
    page.waitForFunction(
      (want) => (window.bell.renderRoot.querySelector('[part=badge]')?.textContent ?? '') === want,
      text,
    );
  const shown = () =>
    page.evaluate(
      () =>
        window.bell.renderRoot.querySelector('belfry-inbox')?.renderRoot.querySelectorAll('article')
          .length ?? 0,
    );
  const articles = (n) => until(async () => (await shown()) === n, `${n} items`);
  const focused = () =>
    page.evaluate(() => {
      let at = document.activeElement;
      while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
      return at?.getAttribute('part') || at?.id || at?.tagName;
    });
  const current = () =>
    page.evaluate(() => {
      const inner = window.bell.renderRoot.querySelector('belfry-inbox').renderRoot;
      return inner.activeElement
        ?.querySelector('h3')
        ?.textContent.replace(/\s+/g, ' ')
        .replace('Unread. ', '')
        .trim();
    });
  const press = (...keys) =>
    keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const violations = async () => {
    await page.evaluate(axeSource);
    const { violations } = await page.evaluate(() =>
      window.axe.run(document, {
        rules: {
          region: { enabled: false },
          'page-has-heading-one': { enabled: false },
          'landmark-one-main': { enabled: false },
        },
      }),
    );
    return violations.map(({ id, nodes }) =>
      `${id}: ${nodes.map((node) => node.html).join(' | ')}`.slice(0, 400),
    );
  };

  before(async () => {
    ({ server, site, browser, stop } = await stage());
  });
  after(() => stop?.());

  it('two lines of HTML ring a bell', async () => {
    const example = readFileSync(new URL('../../examples/bell/index.html', import.meta.url), 'utf8');
    site.pages.set('/bell', example.replaceAll('http://127.0.0.1:8080', server.url));
    site.token = () => server.token(null, { user: 'bia' });
    context = await browser.newContext();
    page = await context.newPage();
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(String(error)));
    await page.goto(`${site.url}/bell`);
    await page.waitForFunction(() => customElements.get('belfry-bell'));
    await page.evaluate(() => (window.bell = document.querySelector('belfry-bell')));
    await badge('');
    await page.waitForFunction(() => window.bell.used?.state.status === 'live');
    await tell('bia', 'Booking confirmed');
    await badge('1');
    const name = await page.getAttribute('belfry-bell >> [part=trigger]', 'aria-label');
    assert.equal(name, 'Notifications, 1 unread');
    await page.waitForFunction(() =>
      window.bell.renderRoot
        .querySelector('[part=announcer]')
        .textContent.includes('1 new notification. Booking confirmed.'),
    );
    assert.deepEqual(page.problems, []);
  });

  it('is reached and used by keyboard alone: the whole map', async () => {
    for (const title of ['one', 'two', 'three', 'four']) await tell('carla', title, { url: `#${title}` });
    await fresh('carla', { html: 'badge="unread"' });
    await badge('4');
    await press('Tab', 'Tab');
    assert.equal(await focused(), 'trigger');
    await press('Enter');
    await articles(4);
    await until(async () => (await focused()) === 'title', 'focus is on the title');
    await press('Tab');
    assert.equal(await focused(), 'mark-all');
    await press('Tab');
    assert.equal(await current(), 'four');
    const steps = [
      ['PageDown', 'three'],
      ['ArrowDown', 'two'],
      ['j', 'one'],
      ['j', 'one'],
      ['PageUp', 'two'],
      ['ArrowUp', 'three'],
      ['k', 'four'],
      ['End', 'one'],
      ['Home', 'four'],
    ];
    for (const [key, title] of steps) {
      await press(key);
      await until(async () => (await current()) === title, `${key} goes to ${title}`);
    }
    await press('Tab');
    assert.equal(await focused(), 'item-read', 'the actions of the current item are next');
    await press('Tab');
    assert.equal(await focused(), 'item-archive');
    await press('Shift+Tab', 'Shift+Tab');
    await press('r');
    await badge('3');
    await press('u');
    await badge('4');
    await press('Enter');
    await badge('3');
    assert.equal(
      await page.evaluate(() => location.hash),
      '#four',
      'Enter follows the link and marks it read',
    );
    await press('e');
    await articles(3);
    await until(async () => (await current()) === 'three', 'the next one has the focus');
    await press('Control+Home');
    assert.equal(await focused(), 'mark-all');
    await press('Space');
    await badge('');
    await press('Escape');
    await until(async () => (await focused()) === 'trigger', 'closed, and the bell has the focus');
    await press('Space');
    await until(async () => (await focused()) === 'title', 'opened by the space key');
    assert.deepEqual(page.problems, []);
  });

  it('leaves letters alone with shortcuts="none"', async () => {
    await tell('dora', 'one');
    await tell('dora', 'two');
    await fresh('dora', { html: 'badge="unread" shortcuts="none"' });
    await badge('2');
    await press('Tab', 'Tab', 'Enter');
    await articles(2);
    await press('Tab', 'Tab', 'r', 'e', 'j');
    assert.equal(await current(), 'two');
    assert.equal(await shown(), 2);
  });

  it('keeps focus and place when something comes', async () => {
    for (let n = 0; n < 12; n++) await tell('eva', `old ${n}`);
    await fresh('eva');
    await badge('12');
    await press('Tab', 'Tab', 'Enter');
    await articles(12);
    await press('Tab', 'Tab', 'ArrowDown', 'ArrowDown');
    assert.equal(await current(), 'old 9');
    await tell('eva', 'new');
    await articles(13);
    assert.equal(await current(), 'old 9');
    assert.match(await page.textContent('belfry-bell >> [part=new-pill]'), /1 new notification/);
  });

  it('marks seen what was shown for a second, and read what was clicked', async () => {
    await tell('gabi', 'look');
    await fresh('gabi', { html: 'badge="unseen"' });
    await badge('1');
    await page.click('belfry-bell >> [part=trigger]');
    await articles(1);
    await badge('');
    const kept = async () => (await server.call('GET', '/v1/feed?user=gabi&limit=0')).body.counts;
    await until(async () => (await kept()).unseen === 0, 'seen, on the server too');
    assert.equal((await kept()).unread, 1);
    await page.click('belfry-bell >> article');
    await until(async () => (await kept()).unread === 0, 'read');
  });

  for (const [name, options, html] of [
    ['light', { colorScheme: 'light' }, 'theme="light"'],
    ['dark', { colorScheme: 'dark' }, 'theme="dark"'],
    ['forced colours', { forcedColors: 'active' }, ''],
    ['320 px', { viewport: { width: 320, height: 640 } }, ''],
  ]) {
    it(`has no violation that axe can find: ${name}`, async () => {
      const user = `axe-${name.replace(/\W/g, '')}`;
      await tell(user, 'Payment received', {
        body: 'R$ 480,00 for room 12',
        url: '/payments/1',
        priority: 'high',
      });
      await tell(user, 'Check in from 14:00', {
        actions: [{ id: 'map', label: 'Show the way', url: '/map' }],
      });
      await fresh(user, { options, html });
      if (name === 'dark')
        await page.evaluate(() => {
          document.documentElement.style.colorScheme = 'dark';
          document.documentElement.style.background = '#111';
          document.querySelector('a').style.color = '#9cf';
        });
      await badge('2');
      assert.deepEqual(await violations(), [], 'closed');
      await page.click('belfry-bell >> [part=trigger]');
      await articles(2);
      assert.deepEqual(await violations(), [], 'open');
      await picture(page, `inbox-${name.replace(/\W+/g, '-')}`);
      assert.ok(
        await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        'nothing sticks out',
      );
      await fresh(`${user}-empty`, { options, html });
      if (name === 'dark')
        await page.evaluate(() => {
          document.documentElement.style.colorScheme = 'dark';
          document.documentElement.style.background = '#111';
          document.querySelector('a').style.color = '#9cf';
        });
      await page.click('belfry-bell >> [part=trigger]');
      await page.waitForSelector('belfry-bell >> .note');
      assert.deepEqual(await violations(), [], 'empty');
    });
  }

  it('says that a page of the feed failed, with a hint, and tries again', async () => {
    await tell('hana', 'there');
    let failing = true;
    await context?.close();
    context = await browser.newContext();
    await context.route(/\/v1\/feed(\?|$)/, (route) =>
      failing
        ? route.fulfill({
            status: 503,
            contentType: 'application/json',
            headers: { 'Access-Control-Allow-Origin': '*' },
            body: '{"code":"overloaded","message":"Too much at once.","hint":"Try again."}',
          })
        : route.continue(),
    );
    site.token = () => server.token(null, { user: 'hana' });
    page = await open(context, `${site.url}/inbox`);
    await page.click('belfry-bell >> [part=trigger]');
    await page.waitForSelector('belfry-bell >> .note.bad');
    assert.deepEqual(await violations(), [], 'error');
    await picture(page, 'inbox-error');
    failing = false;
    await page.click('belfry-bell >> [part=retry]');
    await articles(1);
  });

  it('speaks Portuguese, and reads from right to left', async () => {
    await tell('ines', 'Reserva confirmada', { body: 'Quarto 12' });
    await fresh('ines', { lang: 'pt-BR' });
    await badge('1');
    assert.equal(
      await page.getAttribute('belfry-bell >> [part=trigger]', 'aria-label'),
      'Notificações, 1 não lida',
    );
    await page.evaluate(() => {
      document.documentElement.dir = 'rtl';
    });
    await page.click('belfry-bell >> [part=trigger]');
    await articles(1);
    const box = await page.evaluate(() => {
      const panel = window.bell.renderRoot.querySelector('#panel').getBoundingClientRect();
      return [panel.left, panel.right, innerWidth];
    });
    assert.ok(box[0] >= 0 && box[1] <= box[2], String(box));
    await picture(page, 'inbox-rtl');
  });

  it('runs none of 500 hostile texts, under a strict policy', async () => {
    const breaks = ['', '"', "'", '`', '>', '-->', ']]>', '</script>', '</style>', '\\', '\u2028'];
    const attacks = [
      '<script>window.xss=1</script>',
      '<img src=x onerror=window.xss=1>',
      '<svg onload=window.xss=1>',
      'javascript:window.xss=1',
      ' javascript:window.xss=1',
      'java\tscript:window.xss=1',
      'JaVaScRiPt:window.xss=1//',
      'data:text/html,<script>window.xss=1</script>',
      'vbscript:x',
      '<iframe srcdoc="<script>parent.xss=1</script>">',
      '${window.xss=1}',
      '{{constructor.constructor("window.xss=1")()}}',
      '<a href=javascript:window.xss=1>x</a>',
      '<input autofocus onfocus=window.xss=1>',
      '<details open ontoggle=window.xss=1>',
    ];
    const all = [];
    for (let i = 0; all.length < 500; i++)
      all.push(
        breaks[i % breaks.length] +
          attacks[Math.floor(i / breaks.length) % attacks.length] +
          (i >= breaks.length * attacks.length ? `<!--${i}-->` : ''),
      );
    const hostile = all.slice(0, 500);
    for (let at = 0; at < 500; at += 100)
      await server.publish(
        hostile.slice(at, at + 100).map((text) => ({
          topic: 'users/jo',
          type: 'told',
          data: { text },
          notification: {
            title: text,
            body: text,
            url: text.slice(0, 200),
            icon: text.slice(0, 200),
            actions: [{ id: 'a', label: text.slice(0, 60), url: text.slice(0, 200) }],
          },
        })),
      );
    // No inline script or style but the page's own.
    const own = `script-src 'nonce-page' ${server.url}; style-src 'self'`;
    site.policy = `default-src 'none'; ${own}; connect-src * ws:; img-src *`;
    await fresh('jo', { html: 'limit="100" mark-read-on="never"' });
    site.policy = '';
    await page.click('belfry-bell >> [part=trigger]');
    await articles(100);
    for (let n = 200; n <= 500; n += 100) {
      await page.evaluate(() =>
        window.bell.renderRoot
          .querySelector('belfry-inbox')
          .renderRoot.querySelector('[part=load-more]')
          .click(),
      );
      await articles(n);
    }
    const links = await page.evaluate(() =>
      [...window.bell.renderRoot.querySelector('belfry-inbox').renderRoot.querySelectorAll('a, img')].map(
        (one) => one.href || one.src,
      ),
    );
    assert.ok(
      links.every((one) => /^(https?|mailto):/.test(one)),
      links.find((one) => !/^(https?|mailto):/.test(one)),
    );
    // Everything that can be clicked is, and nothing leads away.
    await page.evaluate(() => {
      for (const name of ['belfry-click', 'belfry-action'])
        window.bell.addEventListener(name, (event) => event.preventDefault());
      const list = window.bell.renderRoot.querySelector('belfry-inbox').renderRoot;
      for (const one of list.querySelectorAll('article, .offered button')) one.click();
    });
    assert.equal(await page.evaluate(() => window.xss), undefined);
  });
});
