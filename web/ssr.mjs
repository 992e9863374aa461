// Every entry of every package, imported where there is neither window nor document, as a server does.
import assert from 'node:assert/strict';

assert.equal(typeof window, 'undefined');
for (const name of ['@belfry/client', '@belfry/client/testing', '@belfry/inbox', '@belfry/react']) {
  const before = new Set(Object.getOwnPropertyNames(globalThis));
  const entry = await import(name);
  assert.ok(Object.keys(entry).length > 0, name);
  const added = Object.getOwnPropertyNames(globalThis).filter((one) => !before.has(one));
  const own = added.filter((one) => !/^(lit|reactive|customElements)/.test(one)); // what Lit keeps there
  assert.deepEqual(own, [], `${name} leaves globals: ${own}`);
}
const { createClient } = await import('@belfry/client');
const client = createClient({ url: 'https://notify.example.com' });
assert.equal(client.state.status, 'idle');
client.dispose();
console.log('4 entries imported without a browser');
