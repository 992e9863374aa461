// The command line as a user meets it, and the README's examples.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { binary, Server, unique, until } from './server.mjs';

function run(words, { input = '', cwd, environment = {} } = {}) {
  return new Promise((resolve) => {
    const child = execFile(
      words[0],
      words.slice(1),
      { cwd, env: { ...process.env, ...environment } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
    child.stdin.on('error', () => {}); // it may have ended without reading
    child.stdin.end(input);
  });
}

describe('the command line', () => {
  let server, folder;
  const belfry = (words, options) =>
    run([binary, ...words], { cwd: folder, environment: { BELFRY_URL: server.url }, ...options });
  before(async () => {
    server = await Server.start();
    folder = mkdtempSync(join(tmpdir(), 'belfry-cli-'));
    cpSync(server.data, join(folder, 'belfry-data'), { recursive: true });
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('publishes from words, a file and standard input', async () => {
    const topic = unique();
    writeFileSync(join(folder, 'event.json'), '{"from": "file"}');
    for (const data of ['{"from":"words"}', '@event.json', '-']) {
      const done = await belfry(['publish', topic, '--type', 'a.b', '--data', data], {
        input: '{"from":"input"}',
      });
      assert.equal(done.code, 0, done.stderr);
      assert.match(done.stdout, /"seq":\d/);
    }
    const { events } = await (await server.get(topic, { since: 'earliest' })).json();
    assert.deepEqual(
      events.map((event) => event.data.from),
      ['words', 'file', 'input'],
    );
  });

  it('tails, as lines for people and for programs, over a restart of the server', async () => {
    const topic = unique();
    const tails = [
      ['tail', topic],
      ['tail', topic, '--json'],
    ].map((words) => {
      const child = spawn(binary, words, { cwd: folder, env: { ...process.env, BELFRY_URL: server.url } });
      const tail = { child, text: '' };
      child.stdout.on('data', (bytes) => {
        tail.text += bytes;
      });
      return tail;
    });
    await until(async () => (await server.metric('belfry_sessions')) === 2, 'both to listen');
    await server.publish({ topic, data: 1 });
    await until(() => tails.every((tail) => tail.text.includes('\n')), 'the first event');
    await server.kill();
    await server.launch();
    await server.publish({ topic, data: 2 });
    await until(() => tails.every((tail) => tail.text.split('\n').length === 3), 'the second event');
    assert.match(tails[0].text, new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3}  ${topic}  message +1\n`));
    assert.deepEqual(
      tails[1].text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).data),
      [1, 2],
    );
    for (const tail of tails) tail.child.kill();
  });

  it('makes tokens that the server accepts', async () => {
    const made = await belfry(['token', '--user', 'bob', '--subscribe', 'x/+', '--ttl', '5m']);
    assert.equal(made.code, 0, made.stderr);
    const bearer = server.bearer(made.stdout.trim());
    assert.equal((await server.get('x/1', {}, bearer)).status, 200);
    assert.equal((await server.get('users/bob', {}, bearer)).status, 403);
  });

  it('exit codes and messages', async () => {
    writeFileSync(join(folder, 'bad.toml'), '[http]\nlisen = "x"\n');
    writeFileSync(join(folder, 'good.toml'), '[http]\nlisten = "127.0.0.1:0"\n');
    writeFileSync(join(folder, 'forged'), 'bk_00000000_' + '0'.repeat(48));
    const table = [
      [['publish', 'a//b'], 1, /bad_topic/],
      [['publish', 'a', '--data', '{'], 1, /bad_json/],
      [['publish', 'a', '--key-file', 'forged'], 5, /token_invalid/],
      [['publish', 'a', '--url', 'http://127.0.0.1:1'], 4, /connection_failed/],
      [['publish'], 2, /topic is required/],
      [['pubish', 'a'], 2, /Did you mean 'belfry publish'\?/],
      [['token', '--user', 'a', '--ttl', 'soon'], 2, /90s, 15m, 1h or 7d/],
      [
        ['config', 'check', '-c', 'bad.toml'],
        3,
        /bad\.toml:2:1: There is no setting http\.lisen\. Did you mean "http\.listen"\?/,
      ],
      [['serve', '-c', 'bad.toml'], 3, /Did you mean/],
      [['serve', '-c', 'good.toml'], 3, /auth\.jwt_secret_file/],
      [['dev', '--listen', '0.0.0.0:0'], 3, /loopback only/],
    ];
    for (const [words, code, message] of table) {
      const done = await belfry(words);
      assert.equal(done.code, code, `${words.join(' ')}: ${done.stderr}`);
      assert.match(done.stderr, message);
    }
    assert.match((await belfry(['config', 'check', '-c', 'good.toml'])).stdout, /valid/);
    assert.match(
      (await belfry(['config', 'show', '-c', 'good.toml'])).stdout,
      /listen = "127\.0\.0\.1:0" +# good\.toml:2/,
    );
    assert.match((await belfry(['version'])).stdout, /^belfry \d+\.\d+\.\d+\n$/);
    assert.match((await belfry(['--help'])).stdout, /belfry publish users\/ana/);
  });

  it('serves others by a configuration, and drains when it is asked to stop', async () => {
    writeFileSync(join(folder, 'secret'), 'a secret of more than thirty-two bytes\n');
    writeFileSync(join(folder, 'key'), `bk_app_${'k'.repeat(40)}\n`);
    const settings = [
      '[http]',
      'listen = "127.0.0.1:0"',
      '[store]',
      'path = "served"',
      '[auth]',
      'jwt_secret_file = "secret"',
    ];
    writeFileSync(join(folder, 'serve.toml'), [...settings, 'backend_key_files = ["key"]', ''].join('\n'));
    const child = spawn(binary, ['serve', '-c', 'serve.toml'], { cwd: folder });
    const exited = once(child, 'exit');
    const [line] = await once(child.stdout, 'data');
    const url = String(line).trim();
    const made = await belfry(['token', '--user', 'ana', '--secret-file', 'secret']);
    const events = await fetch(`${url}/v1/events?topic=users/ana`, {
      headers: { Authorization: `Bearer ${made.stdout.trim()}`, Accept: 'application/x-ndjson' },
    });
    const done = await belfry(['publish', 'users/ana', '--key-file', 'key', '--url', url]);
    assert.equal(done.code, 0, done.stderr);
    assert.equal((await fetch(`${url}/`)).status, 404, 'the dev page is for dev only');
    child.kill('SIGTERM');
    let text = '';
    for await (const piece of events.body) text += Buffer.from(piece);
    const lines = text
      .trim()
      .split('\n')
      .map((each) => JSON.parse(each));
    assert.deepEqual(
      lines.map((each) => each.control ?? each.topic),
      ['connected', 'users/ana', 'error'],
    );
    assert.equal(lines[2].code, 'shutting_down');
    assert.deepEqual(await exited, [0, null]);
  });

  it("the README's examples run as they stand", async () => {
    const done = await run(['sh', new URL('readme.sh', import.meta.url).pathname], {
      cwd: folder,
      environment: {
        BELFRY_URL: server.url,
        URL: server.url,
        KEY: server.key,
        TOKEN: server.token(),
        PATH: `${dirname(binary)}:${process.env.PATH}`,
      },
    });
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /event: booking\.confirmed\nid: /);
    assert.match(done.stdout, /"title":"Maintenance tonight"[\s\S]*"counts":\{"unread":1,"unseen":1\}/);
    assert.match(done.stdout, /"changed":true,"counts":\{"unread":0,"unseen":0\}/);
  });

  it('sends, shows, marks and follows', async () => {
    const user = unique();
    assert.equal((await belfry(['send', user, 'Paid', '--body', 'Pix'])).code, 0);
    assert.equal((await belfry(['follow', user, 'teams/ops'])).code, 0);
    assert.equal((await belfry(['follow', user])).stdout, 'teams/ops\n');
    assert.match((await belfry(['feed', user])).stdout, /new +Paid: Pix\n[\s\S]*1 unread, 1 not seen/);
    assert.equal((await belfry(['mark', user, 'read', '--all'])).code, 0);
    const page = JSON.parse((await belfry(['feed', user, '--json'])).stdout);
    assert.deepEqual([page.notifications[0].read, page.counts.unread], [true, 0]);
    assert.match((await belfry(['mark', user, 'liked', '--all'])).stderr, /bad_parameter/);
    assert.equal((await belfry(['follow', user, 'teams/ops', '--stop'])).code, 0);
    assert.equal((await belfry(['follow', user])).stdout, '');
  });

  it('makes keys that a running server knows, and refuses once revoked', async () => {
    const data = ['--data', server.data];
    const key = (await belfry(['key', 'create', 'mobile', ...data])).stdout.trim();
    const status = async () => (await server.call('GET', '/v1/users/x/follows', undefined, key)).status;
    await until(async () => (await status()) === 200, 'the new key');
    const id = key.split('_')[1];
    assert.equal((await belfry(['key', 'revoke', id, ...data])).code, 0);
    await until(async () => (await status()) === 401, 'the revoked key', 3000);
    assert.equal((await belfry(['key', 'revoke', id, ...data])).code, 1);
  });

  it('keeps no key that it could not show', async () => {
    const data = join(folder, unique());
    const shown = (await belfry(['key', 'create', 'shown', '--data', data])).stdout.split('_')[1];
    const full = openSync('/dev/full', 'w');
    const done = spawnSync(binary, ['key', 'create', 'lost', '--data', data], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    assert.equal(done.status, 1);
    assert.match(done.stderr, /No space left/);
    assert.match(readFileSync(join(data, 'backend_keys'), 'utf8'), new RegExp(`^${shown} \\w+ shown\n$`));
  });

  it('backs up while the server runs, and restores so that clients that were ahead are told', async () => {
    const own = await Server.start();
    const file = join(folder, `${unique()}.db`);
    const data = ['--data', own.data];
    await own.publish({ topic: 't', data: 1 });
    assert.match((await belfry(['backup', file, ...data])).stdout, /1 events, head 1/);
    assert.equal((await belfry(['backup', file, ...data])).code, 1);
    const [lost] = await own.publish({ topic: 't', data: 2 });
    assert.match((await belfry(['check', ...data])).stdout, /2 events .* whole/);
    assert.match((await belfry(['restore', file, ...data])).stderr, /Stop it first/);
    const doctor = await belfry(['doctor', '--url', own.url, '--data-dir', own.data]);
    assert.equal(doctor.code, 0, doctor.stdout);
    assert.match(doctor.stdout, /\n {6}what grows +rows +size +rows go\n {6}events +2 .*retention_days/);
    assert.match(doctor.stdout, /belfry\.db [\d.]+ \w+, .* free for new rows; belfry\.db-wal [\d.]+/);
    await own.kill('SIGTERM');
    assert.match((await belfry(['restore', file, ...data])).stdout, /is in place/);
    await own.launch();
    const answer = await own.get('t', { since: lost.id });
    const body = await answer.json();
    assert.deepEqual([answer.status, body.reason], [410, 'rewound']);
    const { events } = await (await own.get('t', { since: 'earliest' })).json();
    assert.deepEqual(
      events.map((event) => event.data),
      [1],
    );
    await own.stop();
    const nobody = await belfry(['doctor', '--url', own.url]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stdout, /FAIL/);
  });
});

it('has a shard for each core that it may use, not for each that there is', async () => {
  const server = await Server.start({ before: ['taskset', '-c', '0'] });
  try {
    const tasks = `/proc/${server.pid}/task`;
    const names = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/comm`, 'utf8').trim());
    assert.deepEqual(
      names.filter((name) => name.startsWith('shard-')),
      ['shard-0'],
    );
  } finally {
    await server.stop();
  }
});
