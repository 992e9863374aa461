// Pages of an application beside a real server, in Debian's Chromium. The kernel chooses the ports;
// everything goes with the test.

import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { chromiumOptions } from '../../tests/protocol/chromium.mjs';
import { Server } from '../../tests/protocol/server.mjs';

export { unique, until } from '../../tests/protocol/server.mjs';
export { Server };

export const launch = () => chromium.launch(chromiumOptions);

/** An application's own web server: pages by path, and GET /token. */
export class Site {
  constructor(server) {
    this.server = server;
    this.pages = new Map();
    this.tokens = 0;
    this.token = () => server.token(['#']);
    this.tokenStatus = 200;
  }

  static async start(server, host = 'localhost') {
    const site = new Site(server);
    site.http = createServer((request, response) => site.answer(request, response));
    await new Promise((resolve) => site.http.listen(0, '127.0.0.1', resolve));
    site.url = `http://${host}:${site.http.address().port}`;
    return site;
  }

  answer(request, response) {
    const path = request.url.split('?')[0];
    if (path === '/token') {
      this.tokens += 1;
      response.writeHead(this.tokenStatus, { 'Content-Type': 'application/json' });
      return response.end(JSON.stringify({ token: this.tokenStatus === 200 ? this.token() : undefined }));
    }
    const page = this.pages.get(path);
    const policy = this.policy ? { 'Content-Security-Policy': this.policy } : {};
    response.writeHead(page === undefined ? 404 : 200, {
      'Content-Type': 'text/html; charset=utf-8',
      ...policy,
    });
    return response.end(page ?? '');
  }

  /** A page whose module has a client as `window.client`. */
  page(path, { head = '', body = '', script = '', options = '' } = {}) {
    this.pages.set(
      path,
      `<!doctype html><html lang="en"><meta charset="utf-8"><title>${path}</title>
<link rel="icon" href="data:,">${head}
<body>${body}<script type="module" nonce="page">
import * as belfry from '${this.server.url}/sdk/client.js';
window.belfry = belfry;
window.getToken = async () => (await (await fetch('/token')).json()).token;
window.make = (more) => belfry.createClient({ url: '${this.server.url}', getToken, ...more });
${options === null ? '' : `window.client = make({ ${options} });`}
${script}
window.loaded = true;
</script></body></html>`,
    );
    return this.url + path;
  }

  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }
}

/** What most tests stand on: a server, an application beside it, a browser; `stop` ends all three. */
export async function stage() {
  const server = await Server.start();
  const site = await Site.start(server);
  const browser = await launch();
  const stop = async () => {
    await browser.close();
    site.stop();
    await server.stop();
  };
  return { server, site, browser, stop };
}

/** Opens an address and waits until its module has run. What goes wrong is kept in `page.problems`. */
export async function open(context, address) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (line) => line.type() === 'error' && page.problems.push(line.text()));
  await page.goto(address);
  await page.waitForFunction(() => window.loaded);
  return page;
}

/** What a page does that keeps the data of a topic in `window.got`. */
export const listen = (topic) => `window.got = [];
  window.sub = client.subscribe('${topic}', (event) => got.push(event.data));
  await sub.ready;`;

export const live = (page) =>
  page.waitForFunction(() => window.client.state.status === 'live', null, { timeout: 15_000 });

/**
 * Nothing of the page runs for so long: no timer, no message, no answer. (The devtools protocol
 * freezes nothing on a page that is shown, and without a screen every page is.)
 */
export const freeze = (page, ms) =>
  page.evaluate((time) => {
    for (const end = Date.now() + time; Date.now() < end;);
  }, ms);

/** As behind a proxy that lets no upgrade through. */
export const blockWebSocket = (context) =>
  context.addInitScript(() => {
    window.WebSocket = class {
      constructor() {
        setTimeout(() => this.onclose?.({ code: 1006, reason: '' }));
      }
      send() {}
      close() {}
    };
  });

/** For people: build/screenshots. */
export async function picture(page, name) {
  const folder = new URL('../../build/screenshots/', import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}.png` });
}
